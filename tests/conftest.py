"""What every test may rely on."""

import os
import signal

# Started in the background of a script, this process ignores Ctrl-C, and so would every program
# a test starts and then interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No test is ever heard: ALSA finds no sound card, here and in every program a test starts. Tests of
# the sound name a card of their own.
os.environ["ALSA_CONFIG_PATH"] = os.devnull
