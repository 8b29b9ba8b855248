"""[[user]] and [auth]: who may log in."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.config.errors import ConfigErrors
from smtpgw.config.load import config_from_text, load_config
from smtpgw.config.schema import AuthConfig, Config, UserConfig
from tests.config.mistakes import mistakes_in

HASH = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g"
SCRAM = f"SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0$L{'A' * 42}=:L{'B' * 41}A="
USER = f'[[user]]\nname = "app@example.com"\npassword = "{HASH}"\n'


def read(text: str, environ: dict[str, str] | None = None, folder: Path = Path("/srv/none")) -> Config:
    return config_from_text(text, "f", environ, folder, lambda: "mx.example")


def mistakes(text: str, environ: dict[str, str] | None = None) -> list[str]:
    return mistakes_in(read, text, environ)


class UserTests(SynchronousTestCase):
    """Accounts of the configuration."""

    def test_own_name(self) -> None:
        """Who has no senders sends as himself."""
        self.assertEqual(read(USER).users, (UserConfig("app@example.com", HASH, ("app@example.com",)),))

    def test_senders(self) -> None:
        """Addresses and patterns, their domains in one spelling."""
        text = 'senders = ["App.One@Bücher.Example", "*@Example.NET", "*@*.example.org", "*"]\n'
        self.assertEqual(
            read(USER + text).users[0].senders,
            ("App.One@xn--bcher-kva.example", "*@example.net", "*@*.example.org", "*"),
        )

    def test_scram(self) -> None:
        """A SCRAM record in the place of a hash."""
        self.assertEqual(read(USER.replace(HASH, SCRAM)).users[0].password, SCRAM)

    def test_password_elsewhere(self) -> None:
        """In a file beside the configuration, or in the environment."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        (folder / "app.hash").write_text(HASH + "\n")
        user = '[[user]]\nname = "a@example.com"\npassword = %s\n'
        self.assertEqual(read(user % '{file = "app.hash"}', folder=folder).users[0].password, HASH)
        self.assertEqual(read(user % '{env = "APP"}', {"APP": SCRAM}).users[0].password, SCRAM)
        (folder / "smtpgw.toml").write_text(user % '{env = "APP"}')
        self.assertEqual(load_config(folder / "smtpgw.toml", {"APP": HASH}).users[0].password, HASH)

    def test_environment_over_the_file(self) -> None:
        """The hash holds dollars and commas, and needs no quotes."""
        variable = {"SMTPGW_USER__0__PASSWORD": SCRAM, "SMTPGW_USER__1__NAME": "b@example.com"}
        more = {"SMTPGW_USER__1__PASSWORD__ENV": "B", "B": HASH}
        self.assertEqual([user.password for user in read(USER, {**variable, **more}).users], [SCRAM, HASH])

    def test_wrong_password_is_not_repeated(self) -> None:
        """Somebody wrote the password itself: the log of a start must not hold it, whatever form it had."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        (folder / "secret").write_text("hunter2")
        for written in (
            '"hunter2"',
            "'''hunter2\n'''",
            '["hunter2"]',
            '{hunter2 = "x"}',
            '{env = "hunter2 x"}',
            f'{{file = "{folder}/secret"}}',
            '{env = "SECRET"}',
            '"$argon2id$hunter2"',
            '"$argon2i$hunter2"',
            '"SCRAM-SHA-256$hunter2"',
            '"SCRAM-SHA-1$hunter2"',
        ):
            text = f'[[user]]\nname = "a@example.com"\npassword = {written}\n'
            (line,) = mistakes(text, {"SECRET": "hunter2"})
            self.assertTrue(line.startswith("f:3: user[0].password: "), line)
            self.assertNotIn("hunter2", line)
        (line,) = mistakes(USER, {"SMTPGW_USER__0__PASSWORD": "hunter2"})
        self.assertTrue(line.startswith("environment: SMTPGW_USER__0__PASSWORD: neither an argon2id hash"), line)
        (line,) = mistakes(USER, {"SMTPGW_USER__0__PASSWORD": "271828"})
        self.assertNotIn("271828", line)
        self.assertEqual(mistakes('user = ["app:hunter2"]'), ["f:1: user[0]: is not a table"])

    def test_password_is_not_shown_with_its_user(self) -> None:
        """In a traceback or a debugger's line, either."""
        self.assertNotIn(HASH[20:], repr(read(USER)))

    def test_names(self) -> None:
        """Each once; text that can be typed."""
        self.assertEqual(
            mistakes(USER + USER.replace("app@", "APP@")),
            ["f:5: user[1].name: 'APP@example.com' stands in another [[user]], too; case makes no difference"],
        )
        self.assertEqual(mistakes("[[user]]\n"), ["f:1: user[0].name: is missing", "f:1: user[0].password: is missing"])
        (line,) = mistakes(USER.replace("app@example.com", "\\u0627a"))
        self.assertTrue(line.endswith("has characters that no client could send as a name"), line)
        for name in (" app@example.com", "x" * 256):
            (line,) = mistakes(USER.replace("app@example.com", name) + 'senders = ["*"]\n')
            self.assertTrue(line.endswith("has spaces around it, or is longer than 255 octets"), line)

    def test_sender_patterns(self) -> None:
        """What no reverse path could match."""
        for sender, end in (
            ("app", "is not an address or a pattern such as "),
            ("@example.com", "is not an address or a pattern such as "),
            ("app@", "is not an address or a pattern such as "),
            ("a b@example.com", "is not an address or a pattern such as "),
            (f"{'a' * 65}@example.com", "is not an address or a pattern such as "),
            ("app*@example.com", "a star stands for a whole local part; patterns are such as "),
            ("app@*.example.com", "a star stands for a whole local part; patterns are such as "),
            ("app@exa mple.com", "is not a domain name such as "),
            ("*@*", "is not a domain name such as "),
            ("*@a.*.com", "is not a domain name such as "),
        ):
            (line,) = mistakes(f'{USER}senders = ["{sender}"]\n')
            self.assertTrue(line.startswith("f:4: user[0].senders[0]: "), line)
            self.assertIn(end, line)

    def test_who_could_not_send(self) -> None:
        """A user without any address to send as is a slip."""
        app = USER.replace("app@example.com", "app")
        self.assertEqual(mistakes(app), ["f:1: user[0].senders: is missing: 'app' is no address that could be sent as"])
        self.assertEqual(mistakes(f'{app}senders = ["*@example.com"]\n'), [])
        self.assertEqual(mistakes(f"{app}senders = []\n"), ["f:4: user[0].senders: names no address to send as"])
        self.assertEqual(
            mistakes(f"{USER}senders = []\n"),
            ["f:4: user[0].senders: names no address; leave it out for the user's own name"],
        )

    def test_near_words(self) -> None:
        """The key that was meant."""
        self.assertEqual(
            mistakes(f'{USER}sender = ["*"]\n'), ["f:4: user[0].sender: unknown key; did you mean 'senders'?"]
        )


class AuthTests(SynchronousTestCase):
    """[auth]"""

    def test_values(self) -> None:
        """In base units."""
        self.assertEqual(
            read('[auth]\ntokens = "python:my.tokens:check"\nfailures = 5\nlockout = "1h"\n').auth,
            AuthConfig("my.tokens:check", 5, 3600.0),
        )
        self.assertEqual(read("").auth, AuthConfig(None, 10, 900.0))
        self.assertEqual(read("[auth]\nlockout = 60\n").auth, AuthConfig(None, 10, 60.0))

    def test_environment(self) -> None:
        """As for every scalar key."""
        environ = {"SMTPGW_AUTH__FAILURES": "3", "SMTPGW_AUTH__LOCKOUT": "5m", "SMTPGW_AUTH__TOKENS": "python:a:b"}
        self.assertEqual(read("", environ).auth, AuthConfig("a:b", 3, 300.0))

    def test_mistakes(self) -> None:
        """What is no function, no number, no time."""
        for line, end in (
            ('tokens = "my.tokens:check"', "'my.tokens:check' is not of the form 'python:package.module:name'"),
            ('tokens = "python:x"', "'x' is not a name in a module, such as 'python:package.module:name'"),
            ("failures = -1", "-1 is not between 0 and 1000000000"),
            ("lockout = 0", "must be more than 0"),
            (
                'lockout = "59s"',
                (
                    "'59s' is less than 1m: wrong logins would be forgotten before there are enough of them; "
                    "'failures = 0' shuts nobody out"
                ),
            ),
            ("fail = 1", "unknown key; did you mean 'failures'?"),
        ):
            (found,) = mistakes(f"[auth]\n{line}\n")
            self.assertTrue(found.startswith("f:2: auth."), found)
            self.assertTrue(found.endswith(end), found)

    def test_target_is_loaded(self) -> None:
        """A function of tokens that can't be loaded is told before anything is served."""
        path = Path(self.mktemp())
        path.write_text('[auth]\ntokens = "python:a:b"\n')
        asked: list[str] = []

        def check(target: str) -> None:
            asked.append(target)
            raise ValueError("there is no module 'a'")

        error = self.assertRaises(ConfigErrors, load_config, path, {}, check_target=check)
        self.assertEqual((asked, str(error)), (["a:b"], f"{path}:2: auth.tokens: there is no module 'a'"))
