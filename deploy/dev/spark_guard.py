"""Runs a command in a process group of its own, and ends the group as soon as its starter is gone.

    python3 -c <this file> GRACE_SECONDS LOG_FILE COMMAND [ARGUMENT...]

Standard input is a pipe that only the starter (`libra dev`) holds open: however the starter ends,
kill -9 included, the pipe closes, and the command's whole group is asked to end (SIGTERM), and
killed once GRACE_SECONDS are over. The command's output is appended to LOG_FILE. The exit status is
that of the command, 128 + n if signal n ended it. The command's process id is printed once.

Only the standard library, Python 3.9 and later.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading

PR_SET_PDEATHSIG = 1


def die_with_guard():
    """In the child, on Linux: have the kernel kill it if even this guard is killed."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def signal_group(group, number):
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        pass


def main():
    grace, log_file, command = float(sys.argv[1]), sys.argv[2], sys.argv[3:]
    # Ctrl-C and a closed terminal are the starter's to handle: its end is what counts here.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with open(log_file, "ab", buffering=0) as log:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_guard,
        )

    try:
        print(child.pid, flush=True)
    except OSError:
        pass  # Nobody wants to know.

    def end():
        signal_group(child.pid, signal.SIGTERM)
        try:
            child.wait(grace)
        except subprocess.TimeoutExpired:
            signal_group(child.pid, signal.SIGKILL)

    def end_with_starter():
        while os.read(0, 4096):
            pass
        end()

    signal.signal(
        signal.SIGTERM, lambda *_: threading.Thread(target=end, daemon=True).start()
    )
    threading.Thread(target=end_with_starter, daemon=True).start()
    status = child.wait()
    signal_group(child.pid, signal.SIGKILL)
    sys.exit(status if status >= 0 else 128 - status)


main()
