"""Threads that work when they are told to."""

from twisted.internet.defer import Deferred


class SlowThreads:
    """``Threads``: what is to be done waits for :meth:`work`."""

    def __init__(self):
        self.waiting = []

    def run(self, function, *arguments):
        """Later."""
        result: Deferred[object] = Deferred()
        self.waiting.append((result, function, arguments))
        return result

    def work(self, times=1):
        """Do the next of it."""
        for _ in range(times):
            result, function, arguments = self.waiting.pop(0)
            try:
                value = function(*arguments)
            except Exception as error:
                result.errback(error)
            else:
                result.callback(value)
