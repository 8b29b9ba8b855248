"""The scheduler keeps its five rules."""

# mypy: no-check-untyped-defs

from collections import Counter
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.delivery.links import AgendaRules
from smtpgw.delivery.retry import RetrySchedule
from smtpgw.delivery.sites import Site
from smtpgw.model.outcome import Delayed, Failed
from smtpgw.model.route import Hop, Route, ViaMx
from tests.delivery.agenda_world import FOREVER, MX_ROUTE, REFUSED, SINK_ROUTE, World, busy, good, rules, unfit

ONE_LINK = Route("one", ViaMx(25), connections=1)


class DeliveryTests(SynchronousTestCase):
    """What is due goes out."""

    def setUp(self):
        self.world = World()

    def test_one_message(self):
        """Names are asked for, a connection is opened, and only then is the message given to it."""
        self.world.mx("a.test", "192.0.2.1")
        self.world.hosts["192.0.2.1"] = good
        queue_id = self.world.add("a.test")
        self.assertEqual(self.world.sent, [])
        self.world.run(1)
        self.assertEqual(self.world.delivered, [queue_id])
        self.assertEqual(self.world.opened, ["192.0.2.1"])

    def test_connection_is_reused(self):
        """Messages that come one after the other share a connection."""
        self.world.mx("a.test", "192.0.2.1")
        self.world.hosts["192.0.2.1"] = good
        for _ in range(10):
            self.world.add("a.test")
            self.world.run(0.5)
        self.assertEqual(len(self.world.delivered), 10)
        self.assertEqual(len(self.world.opened), 1)

    def test_idle_connection_is_closed(self):
        """A connection without work is closed after a few seconds."""
        self.world.mx("a.test", "192.0.2.1")
        self.world.hosts["192.0.2.1"] = good
        self.world.add("a.test")
        self.world.run(10)
        self.assertEqual(self.world.agenda.open_links, 0)

    def test_messages_per_connection(self):
        """A connection is closed after its share of messages, and the rest goes over another."""
        world = self.world = World(rules(jobs_per_link=3))
        world.mx("a.test", "192.0.2.1")
        world.hosts["192.0.2.1"] = good
        for _ in range(7):
            world.add("a.test", route=ONE_LINK)
        world.run(10)
        self.assertEqual(len(world.delivered), 7)
        self.assertEqual(len(world.opened), 3)

    def test_connections_of_a_route(self):
        """A route's limit of connections holds, however much there is to send."""
        self.world.mx("a.test", "192.0.2.1")
        self.world.hosts["192.0.2.1"] = good
        for _ in range(200):
            self.world.add("a.test", route=ONE_LINK)
        self.world.run(100)
        self.assertEqual((self.world.peak_links, len(self.world.delivered)), (1, 200))

    def test_domains_of_one_site_share(self):
        """Two domains with the same MX hosts are one site."""
        for domain in ("a.test", "b.test"):
            self.world.mx(domain, "192.0.2.1")
        self.world.hosts["192.0.2.1"] = good
        self.world.add("a.test")
        self.world.run(0.5)
        self.world.add("b.test")
        self.world.run(0.5)
        self.assertEqual(len(self.world.opened), 1)
        self.assertEqual(len(self.world.delivered), 2)

    def test_sink_is_bounded(self):
        """A sink of ours gets a bounded number of messages at a time, and all in the end."""
        world = self.world = World(rules(sink_runs=2))
        for _ in range(5):
            world.add("here.test", route=SINK_ROUTE)
        self.assertEqual(len(world.events), 2)
        world.run(10)
        self.assertEqual(sorted(world.delivered), [1, 2, 3, 4, 5])

    def test_due_time(self):
        """A message that is due later is not tried earlier."""
        self.world.mx("a.test", "192.0.2.1")
        self.world.hosts["192.0.2.1"] = good
        self.world.add("a.test", due_in=100)
        self.world.run(99)
        self.assertEqual(self.world.opened, [])
        self.world.run(2)
        self.assertEqual(self.world.delivered, [1])

    def test_pause(self):
        """While delivery is paused nothing is looked up or opened; afterwards everything goes."""
        self.world.mx("a.test", "192.0.2.1")
        self.world.hosts["192.0.2.1"] = good
        self.world.agenda.pause()
        for _ in range(3):
            self.world.add("a.test")
        self.world.run(10)
        self.assertEqual((self.world.opened, self.world.delivered), ([], []))
        self.world.agenda.resume(self.world.now)
        self.world.act()
        self.world.run(10)
        self.assertEqual(sorted(self.world.delivered), [1, 2, 3])

    def test_urged_in_a_pause(self):
        """While delivery is paused an operator's retry asks for no names either, so that nothing can fail."""
        self.world.agenda.pause()
        queue_id = self.world.add("nowhere.test")
        [item] = self.world.agenda.items(queue_id)
        self.world.agenda.urge(self.world.now, item)
        self.world.run(10)
        self.assertEqual(self.world.concluded, [])

    def test_removed_item_is_not_sent(self):
        """A message that an operator dropped while it waited is not tried."""
        self.world.mx("a.test", "192.0.2.1")
        self.world.hosts["192.0.2.1"] = good
        queue_id = self.world.add("a.test", due_in=100)
        for item in self.world.agenda.items(queue_id):
            self.world.agenda.remove(item)
        self.assertEqual(self.world.agenda.items(queue_id), [])
        self.world.run(200)
        self.assertEqual(self.world.opened, [])


class TroubleTests(SynchronousTestCase):
    """A failure touches its scope and nothing wider."""

    def setUp(self):
        self.world = World()

    def test_next_host(self):
        """When the best host is dead the next is tried at once."""
        self.world.mx("a.test", "192.0.2.1", "192.0.2.2")
        self.world.hosts["192.0.2.2"] = good
        self.world.add("a.test")
        self.world.run(1)
        self.assertEqual(self.world.opened, ["192.0.2.1", "192.0.2.2"])
        self.assertEqual(self.world.delivered, [1])

    def test_dead_host_is_passed_over(self):
        """A host that has just been dead is not asked for the next message."""
        self.world.mx("a.test", "192.0.2.1", "192.0.2.2")
        self.world.hosts["192.0.2.2"] = good
        for _ in range(3):
            self.world.add("a.test")
            self.world.run(10)
        self.assertEqual(self.world.opened, ["192.0.2.1", "192.0.2.2", "192.0.2.2", "192.0.2.2"])

    def test_site_down(self):
        """When no host answers, everything for the site waits for one probe, which comes by the schedule."""
        self.world.mx("a.test", "192.0.2.1")
        for _ in range(50):
            self.world.add("a.test")
        self.world.run(200)
        self.assertEqual(len(self.world.opened), 1)
        self.world.run(200)
        self.assertEqual(len(self.world.opened), 2)

    def test_site_comes_back(self):
        """The first success after an outage lets everybody go who waited."""
        self.world.mx("a.test", "192.0.2.1")
        for _ in range(50):
            self.world.add("a.test")
        self.world.run(100)
        self.world.hosts["192.0.2.1"] = good
        self.world.run(400)
        self.assertEqual(len(self.world.delivered), 50)
        self.assertEqual(self.world.agenda.open_links, 0)

    def test_new_mail_waits_too(self):
        """A message that comes while its site is down does not open a connection of its own."""
        self.world.mx("a.test", "192.0.2.1")
        self.world.add("a.test")
        self.world.run(10)
        self.world.add("a.test")
        self.world.run(10)
        self.assertEqual(len(self.world.opened), 1)

    def test_other_sites_go_on(self):
        """A dead destination keeps nobody else waiting, though it has all the mail of the queue before it."""
        self.world = world = World(rules(links=10))
        for number in range(40):
            world.mx(f"dead{number}.test", f"198.51.100.{number}")
            world.hosts[f"198.51.100.{number}"] = "hole"
            world.add(f"dead{number}.test")
        world.mx("a.test", "192.0.2.1")
        world.hosts["192.0.2.1"] = good
        world.add("a.test")
        world.run(31 * 8)
        world.add("a.test")
        before = len(world.delivered)
        world.run(1)
        self.assertEqual(len(world.delivered), before + 1)
        self.assertLessEqual(world.peak_links, 10)

    def test_validated_sites_pass_suspects(self):
        """Sites that have shown that they live get connections while black holes hold their whole share."""
        world = self.world = World(rules(links=10))
        world.mx("a.test", "192.0.2.1")
        world.hosts["192.0.2.1"] = good
        world.add("a.test")
        world.run(1)
        for number in range(40):
            world.mx(f"dead{number}.test", f"198.51.100.{number}")
            world.hosts[f"198.51.100.{number}"] = "hole"
            world.add(f"dead{number}.test")
        world.run(5)
        self.assertEqual(sum(hop.address.startswith("198") for hop in world.links.values()), 9)
        queue_id = world.add("a.test")
        world.run(1)
        self.assertIn(queue_id, world.delivered)

    def test_new_site_behind_tarpits(self):
        """A site that nobody has tried yet does not wait for the time limit of tarpits that hold every connection."""
        world = self.world = World(rules(links=50))
        for number in range(200):
            world.mx(f"tar{number}.test", f"198.51.100.{number}")
            world.hosts[f"198.51.100.{number}"] = "hole"
            world.hole_seconds = 300.0
            world.add(f"tar{number}.test")
        world.run(1)
        world.mx("a.test", "192.0.2.1")
        world.hosts["192.0.2.1"] = good
        queue_id = world.add("a.test")
        world.run(60)
        self.assertIn(queue_id, world.delivered)
        self.assertLessEqual(world.peak_links, 50)

    def test_probes_of_dead_sites_are_bounded(self):
        """Sites that are known to be dead share a quarter of the connections; new ones have the rest."""
        world = self.world = World(rules(links=40))
        for number in range(100):
            world.mx(f"dead{number}.test", f"198.51.100.{number}")
            world.add(f"dead{number}.test")
        world.run(5)
        for number in range(100):
            world.hosts[f"198.51.100.{number}"] = "hole"
        world.run(360)
        self.assertLessEqual(len(world.links), 10)
        world.mx("a.test", "192.0.2.1")
        world.hosts["192.0.2.1"] = good
        queue_id = world.add("a.test")
        world.run(1)
        self.assertIn(queue_id, world.delivered)

    def test_host_that_turns_everything_away(self):
        """A host that accepts connections and then says 421 to everything goes down like one that is dead."""
        self.world.mx("a.test", "192.0.2.1")
        self.world.hosts["192.0.2.1"] = busy
        for _ in range(20):
            self.world.add("a.test")
        self.world.run(200)
        self.assertEqual(len(self.world.opened), 2, "a second message is tried before the host is held to be down")
        self.world.hosts["192.0.2.1"] = good
        self.world.run(2000)
        self.assertEqual(len(set(self.world.delivered)), 20)

    def test_poisonous_message(self):
        """A message that makes its host hang up is set apart after two tries; the others get through."""
        self.world.mx("a.test", "192.0.2.1")
        self.world.hosts["192.0.2.1"] = lambda world, queue_id: "busy" if queue_id == 1 else "ok"
        for _ in range(5):
            self.world.add("a.test")
        self.world.run(5)
        self.assertEqual(sorted(set(self.world.delivered)), [2, 3, 4, 5])
        self.world.run(500)
        self.assertEqual(set(self.world.over), {1})

    def test_host_that_puts_everything_off(self):
        """A best host that defers every message as a whole gives way to the next one after the second time."""
        self.world.mx("a.test", "192.0.2.1", "192.0.2.2")
        self.world.hosts.update({"192.0.2.1": lambda world, queue_id: "deferred", "192.0.2.2": good})
        self.world.add("a.test")
        self.world.run(200)
        self.assertEqual(self.world.opened, ["192.0.2.1", "192.0.2.1", "192.0.2.2"])
        self.assertEqual(self.world.delivered, [1])

    def test_growing_waits_reach_the_next_host(self):
        """A message whose waits grow meets the next host after its second, not the first one again."""
        for waits in ((2, 6, 12, 12, 12), (300, 600, 1200, 1200)):
            world = self.world = World(AgendaRules(RetrySchedule(tuple(map(float, waits)))))
            world.mx("a.test", "192.0.2.1", "192.0.2.2")
            world.hosts.update({"192.0.2.1": lambda world, queue_id: "deferred", "192.0.2.2": good})
            world.waits = iter(waits)
            world.add("a.test")
            world.run(sum(waits) * 1.2)
            self.assertEqual(world.delivered, [1])
            self.assertEqual((len(world.sent), world.opened[-1]), (3, "192.0.2.2"))

    def test_only_host_puts_everything_off(self):
        """Without another host the only one is asked again and again."""
        answers = iter(["deferred"] * 4 + ["ok"])
        self.world.mx("a.test", "192.0.2.1")
        self.world.hosts["192.0.2.1"] = lambda world, queue_id: next(answers)
        self.world.add("a.test")
        self.world.run(400)
        self.assertEqual(self.world.delivered, [1])

    def test_greylisted_message_waits_alone(self):
        """A message whose recipient is deferred gives up its connection, and the others go on."""
        seen = set()

        def greylist(world, queue_id):
            if queue_id == 1 and queue_id not in seen:
                seen.add(queue_id)
                return "greylisted"
            return "ok"

        self.world.mx("a.test", "192.0.2.1")
        self.world.hosts["192.0.2.1"] = greylist
        for _ in range(4):
            self.world.add("a.test")
        self.world.run(5)
        self.assertEqual(sorted(self.world.delivered), [2, 3, 4])
        self.world.run(70)
        self.assertEqual(sorted(self.world.delivered), [1, 2, 3, 4])

    def test_waiting_has_a_reason(self):
        """Whoever asks why a message waits is told the site's last trouble and the time of the next try."""
        self.world.mx("a.test", "192.0.2.1")
        queue_id = self.world.add("a.test")
        self.world.run(10)
        [item] = self.world.agenda.items(queue_id)
        self.assertEqual(self.world.agenda.why(item).reason, "connection refused")
        self.assertGreater(self.world.agenda.next_try(item), self.world.now)

    def test_urged(self):
        """An operator's retry tries a dead site at once."""
        self.world.mx("a.test", "192.0.2.1")
        queue_id = self.world.add("a.test")
        self.world.run(10)
        self.world.hosts["192.0.2.1"] = good
        [item] = self.world.agenda.items(queue_id)
        self.world.agenda.urge(self.world.now, item)
        self.world.run(5)
        self.assertEqual(self.world.delivered, [queue_id])

    def test_attention_while_the_site_is_down(self):
        """A message that has waited too long without an attempt is handed out, with the reason."""
        self.world.mx("a.test", "192.0.2.1")
        queue_id = self.world.add("a.test", attention_in=150)
        self.world.run(149)
        self.assertEqual(self.world.attended, [])
        self.world.run(2)
        self.assertEqual([q for q, _ in self.world.attended], [queue_id])
        self.assertEqual(self.world.agenda.items(queue_id), [])

    def test_reports(self):
        """The operator hears of a dead host, how many wait and when it is tried again."""
        self.world.mx("a.test", "192.0.2.1")
        self.world.add("a.test")
        self.world.run(10)
        [report] = self.world.reports
        self.assertEqual((report.hop.address, report.stage, report.waiting), ("192.0.2.1", "connect", 1))
        self.assertGreater(report.next_probe_at, self.world.now)


class OtherHostsTests(SynchronousTestCase):
    """A host that can't take a message as its sender wants it says nothing of the other hosts (RFC 8689)."""

    def setUp(self):
        self.world = World()
        self.world.mx("a.test", "a1", "a2", "a3")
        self.world.hosts |= {"a1": unfit, "a2": unfit, "a3": good}

    def test_passed_on(self):
        """It goes to the next hosts; the other mail stays with the best one."""
        for _ in range(200):
            self.world.add("a.test")
        self.world.run(30)
        self.assertEqual(sorted(self.world.delivered), list(range(1, 201)))
        self.assertEqual(self.world.reports, [])
        self.assertEqual(self.world.links, {})

    def test_no_host(self):
        """When all have been asked, each once, it has its result."""
        self.world.hosts["a3"] = unfit
        for _ in range(3):
            self.world.add("a.test")
        self.world.run(30)
        self.assertEqual((sorted(self.world.unfit), self.world.delivered), ([1, 3], [2]))
        self.assertEqual(Counter(sorted(self.world.opened)), {"a1": 1, "a2": 1, "a3": 1})
        self.assertEqual(self.world.done, {1: 1, 2: 1, 3: 1})

    def test_dead_host(self):
        """What is left can't be reached: it waits for that, with the reason, and nobody else does."""
        self.world.hosts["a3"] = None
        self.world.add("a.test")
        self.world.run(30)
        [item] = self.world.agenda.items(1)
        self.assertEqual(self.world.agenda.why(item), REFUSED)
        self.assertGreater(self.world.agenda.next_try(item), self.world.now)
        self.world.add("a.test")
        self.world.run(1)
        self.assertEqual(self.world.delivered, [2])
        self.world.hosts["a3"] = good
        self.world.run(600)
        self.assertEqual((self.world.delivered, self.world.unfit), ([2, 1], []))

    def test_urged(self):
        """An operator's retry goes to the dead host at once, too."""
        self.world.hosts["a3"] = None
        self.world.add("a.test")
        self.world.run(30)
        self.world.hosts["a3"] = good
        [item] = self.world.agenda.items(1)
        self.world.agenda.urge(self.world.now, item)
        self.world.act()
        self.world.run(1)
        self.assertEqual(self.world.delivered, [1])

    def test_attention(self):
        """It waits no longer than any message does, also one that comes when the host is known to be dead."""
        self.world.hosts["a3"] = None
        self.world.add("a.test", attention_in=200.0)
        self.world.run(30)
        self.world.ids += 1
        self.world.add("a.test", attention_in=50.0)
        self.world.run(60)
        self.assertEqual(self.world.attended, [(3, REFUSED)])
        self.world.run(200)
        self.assertEqual(self.world.attended, [(3, REFUSED), (1, REFUSED)])

    def test_kept(self):
        """A site is still known when nothing waits any more for what is left of it without a host."""
        self.world.hosts["a3"] = None
        self.world.add("a.test", attention_in=100.0)
        self.world.run(30)
        site = self.world.agenda.items(1)[0].destination.site
        self.assertEqual([one.down_until is None for one in site.family()], [True, True, False])
        self.world.run(1000)
        self.assertEqual([one.down_until is None for one in site.family()], [True, True, True])
        self.world.mx("b.test", "a1", "a2", "a3")
        queue_id = self.world.add("b.test", due_in=9.0)
        other = self.world.agenda.items(queue_id)[0].destination
        self.world.run(10)
        self.assertIs(other.site, site)

    def test_new_addresses(self):
        """Whatever the names become, what is remembered of hosts is bounded by how many there are."""
        site = Site("a.test", MX_ROUTE, (), 1)
        for n in range(30):
            site.hops = tuple(Hop("mx", f"b{n + i}", 25) for i in range(3))
            others = site.without(site.hops[2])
            self.assertEqual(others.hops, site.hops[:2])
            self.assertIs(site.without(site.hops[2]), others)
        self.assertEqual(len(list(site.family())), 4)


class NamesTests(SynchronousTestCase):
    """Names that can't be found."""

    def setUp(self):
        self.world = World()

    def test_temporary(self):
        """A name server's trouble delays everything for the domain, and bounces nothing."""
        self.world.zone["a.test"] = Delayed("4.4.3", "no answer")
        for _ in range(3):
            self.world.add("a.test")
        self.world.run(200)
        self.assertEqual((self.world.concluded, len(self.world.reports)), ([], 1))
        self.world.mx("a.test", "192.0.2.1")
        self.world.hosts["192.0.2.1"] = good
        self.world.run(200)
        self.assertEqual(sorted(self.world.delivered), [1, 2, 3])

    def test_permanent(self):
        """A domain that does not exist fails its messages, once each."""
        self.world.add("nowhere.test")
        self.world.run(10)
        self.assertEqual(self.world.concluded, [(1, Failed("5.1.2", "no such domain"))])

    def test_asked_again_after_the_time_to_live(self):
        """Hosts are used for as long as the name server said, not longer."""
        self.world.mx("a.test", "192.0.2.1", ttl=100.0)
        self.world.hosts["192.0.2.1"] = good
        self.world.hosts["192.0.2.9"] = good
        self.world.add("a.test")
        self.world.run(50)
        self.world.mx("a.test", "192.0.2.9")
        self.world.add("a.test")
        self.world.run(60)
        self.world.add("a.test")
        self.world.run(5)
        self.assertEqual(self.world.opened, ["192.0.2.1", "192.0.2.1", "192.0.2.9"])

    def test_known_domains_pass_silent_ones(self):
        """Questions that nobody answers keep no known domains waiting nor, once they are known to fail, new ones."""
        world = self.world = World(rules(lookups=20))
        world.mx("a.test", "192.0.2.1", ttl=0.0)
        world.hosts["192.0.2.1"] = good
        world.add("a.test")
        world.run(10)
        for number in range(100):
            world.zone[f"silent{number}.test"] = "silence"
            world.add(f"silent{number}.test")
        world.run(1)
        queue_id = world.add("a.test")
        world.run(1)
        self.assertIn(queue_id, world.delivered)
        world.run(400)
        world.mx("b.test", "192.0.2.1")
        queue_id = world.add("b.test")
        world.run(1)
        self.assertIn(queue_id, world.delivered)

    def test_last_attempt_waits_for_names(self):
        """A message whose time is up and whose hosts must be asked for again still gets its last attempt."""
        self.world.mx("a.test", "192.0.2.1")
        self.world.hosts["192.0.2.1"] = good
        queue_id = self.world.add("a.test", due_in=100, attention_in=100)
        self.world.run(110)
        self.assertEqual((self.world.attended, self.world.delivered), ([], [queue_id]))

    def test_attention_while_names_fail(self):
        """A message whose domain can't be looked up is handed out when its time is up."""
        self.world.zone["a.test"] = Delayed("4.4.3", "no answer")
        self.world.add("a.test", attention_in=1000)
        self.world.run(1001)
        self.assertEqual([q for q, _ in self.world.attended], [1])

    def test_lookups_are_bounded(self):
        """A thousand new domains are not a thousand questions at once; all are asked in the end."""
        world = self.world = World(rules(lookups=10))
        for number in range(100):
            world.add(f"d{number}.test")
        self.assertEqual(len(world.events), 9, "a tenth is kept for domains that are known")
        world.run(100)
        self.assertEqual(len(world.concluded), 100)


class WholeWorldTests(SynchronousTestCase):
    """Whatever the world does, everybody ends exactly once, and the bounds hold."""

    def _world(self, seed):
        random = Random(seed)
        world = World(rules(links=15, lookups=5, jobs_per_link=7), seed)
        world.latency = random.choice([0.01, 0.3, 2.0])

        def flaky(part):
            return lambda world, queue_id: "ok" if world.random.random() > part else "busy"

        for number in range(30):
            addresses = [f"192.0.2.{random.randrange(40)}" for _ in range(random.randrange(1, 4))]
            world.mx(f"d{number}.test", *dict.fromkeys(addresses), ttl=random.choice([0.0, 60.0, 3600.0]))
        for number in range(40):
            host = random.choice([good, good, flaky(0.1), flaky(0.6), busy, None, "hole"])
            world.hosts[f"192.0.2.{number}"] = host
        return world, random

    def test_everybody_ends_once(self):
        """Thirty domains, hosts good, flaky, busy, dead and mute; in the end all are mended and everything arrives."""
        for seed in range(12):
            world, random = self._world(seed)
            for _ in range(300):
                number = random.randrange(34)
                route = SINK_ROUTE if number == 33 else None
                arguments = {"route": route} if route else {}
                world.add(f"d{number}.test", due_in=random.choice([0.0, 0.0, 5.0, 500.0]), **arguments)
                world.run(random.choice([0.0, 0.1, 3.0]))
            world.run(20_000)
            for address in list(world.hosts):
                world.hosts[address] = good
            world.run(60_000)
            self.assertEqual(set(world.done), set(range(1, 301)), f"seed {seed}")
            self.assertEqual(set(world.done.values()), {1}, f"seed {seed}")
            self.assertLessEqual(world.peak_links, 15)
            self.assertEqual(world.agenda.open_links, 0)
            self.assertEqual([world.agenda.items(queue_id) for queue_id in range(1, 301)], [[]] * 300)

    def test_nothing_wakes_an_empty_agenda(self):
        """When everything is done no timer is left."""
        world, _ = self._world(1)
        for address in list(world.hosts):
            world.hosts[address] = good
        for number in range(30):
            world.add(f"d{number}.test")
        world.run(FOREVER)
        self.assertIsNone(world.agenda.next_wakeup())
