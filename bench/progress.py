"""Progress on standard error: what is being measured, and how long it will take still."""

import sys
import time


def duration_text(seconds):
    seconds = max(0, round(seconds))
    if seconds < 60:
        return f"{seconds} s"
    return f"{seconds // 60} min {seconds % 60:02d} s"


class Progress:
    """Knows the expected seconds of all steps; the estimate follows what steps really took."""

    def __init__(self, total_seconds, stream=sys.stderr):
        self.expected = total_seconds
        self.done = 0.0
        self.started = time.monotonic()
        self.stream = stream
        self.on_terminal = stream.isatty()

    def seconds_left(self):
        elapsed = time.monotonic() - self.started
        pace = elapsed / self.done if self.done > 0 else 1.0
        return (self.expected - self.done) * pace

    def begin(self, title):
        share = 100 * self.done / self.expected if self.expected else 100
        line = f"[{share:3.0f}%] {title} … {duration_text(self.seconds_left())} left"
        if self.on_terminal:
            self.stream.write("\r\033[K" + line)
        else:
            self.stream.write(line + "\n")
        self.stream.flush()

    def end(self, expected_seconds):
        self.done += expected_seconds

    def say(self, text):
        if self.on_terminal:
            self.stream.write("\r\033[K")
        self.stream.write(text + "\n")
        self.stream.flush()

    def finish(self):
        self.say(f"[100%] measured in {duration_text(time.monotonic() - self.started)}")
