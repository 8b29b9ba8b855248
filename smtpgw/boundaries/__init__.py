"""
What the rooms ask of each other and of the world: Protocols, no logic.

Two shapes of waiting. Where every message passes (spool, reception, links) the answer comes by a callback, called
exactly once, in the reactor's thread, maybe before the call returns. Where it is rare (names, sinks, hooks) it is
awaitable.
"""
