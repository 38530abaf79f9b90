"""The metrics every service has; a service adds its own beside the code that moves them."""

from prometheus_client import Counter, Gauge, Histogram

MESSAGES = Counter("millrace_messages_total", "Messages handled and acknowledged", ["stream", "type"])
DUPLICATES = Counter("millrace_duplicates_total", "Messages seen before and skipped", ["stream"])
DEAD = Counter("millrace_dead_letters_total", "Entries moved to a dead-letter stream", ["stream"])
PUBLISHED = Counter("millrace_published_total", "Messages published", ["stream", "type"])
HANDLING = Histogram(
    "millrace_handling_seconds",
    "Time from reading an entry to its acknowledgement",
    ["stream"],
    buckets=(0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.2, 1, 5),
)
RECONNECTS = Counter(
    "millrace_redis_reconnects_total", "Times a read was retried because Redis did not answer", ["stream"]
)
READY = Gauge("millrace_ready", "1 while the service can do its job")
