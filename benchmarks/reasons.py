"""Why a goal may be missed, by profile; a report shows a line only where its goal is missed."""

REASONS = {
    "W1: best peer": "what a read costs by itself, whatever its size; see W1: limit",
    "W1: limit": (
        "the limit is a blocking socket with ready bytes; ours spends about 0.35 ms of CPU more in the event"
        " loop, the pool, encoding, decoding and the check of the block, which no size of a read lessens"
    ),
    "W2: best peer": (
        "the node's own work is most of ours (see W2: limit), so the ratio follows how fast the peer is:"
        " viem runs its chunks at once and so uses both cores"
    ),
    "W3: best peer": "as W2: the node's work in the scanner is most of the time of ours",
    "W2 multicall: limit": (
        "the limit has its requests ready and tries out how many are the fastest; ours builds 2.7 MB of"
        " requests, about 1 µs of CPU a balance, while the first ones are under way"
    ),
    "W2 slow: best peer": (
        "the round trip, the transfer and the node's work are nearly all of ours (see W2 slow: limit), so the"
        " ratio follows how fast the peer is"
    ),
    "W4: round trips": (
        "13 reads, the node and the simulator share the cores: the limit itself is over one round trip by"
        " the time that the node needs for 13 calls"
    ),
    "W4 cold: round trips": "as W4, with 13 connections to open as well",
    "W3 small: requests": (
        "parts keep a little gas in reserve, because a part that runs out costs a request more than it saves"
    ),
}
