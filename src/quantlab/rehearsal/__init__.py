"""The embedded rehearsal exchange: both venues' wire on loopback, without money.

It is written from the venues' documents and recorded answers, never from our
own codecs, so that a misread field cannot cancel itself out on both sides.
Nothing is imported here: the command line must start without an event loop.
"""
