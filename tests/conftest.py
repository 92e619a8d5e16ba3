"""What every test may rely on."""

import signal

# Started in the background of a script, this process ignores Ctrl-C, and so would every program
# a test starts and then interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
