"""Homeward: a bedside monitor that lives next to the patient and keeps its data at home.

The life of one packet, a sentence a stage:

1.  A sensor sends some bytes, and a reader (`edge.readers`) stamps them with their arrival on the
    boot clock and hands them over untouched: a `Packet`.
2.  The daemon puts it into a bounded queue and, with ``--log``, writes it to a packet log, so that
    the same night can be run again, byte for byte.
3.  At each tick of 250 ms the pipeline (`edge.pipeline`), a pure function of packets and time,
    takes what has arrived; nothing before it looks into the bytes, nothing after it touches the
    outside world.
4.  The device's decoder (`edge.decoders`) turns the bytes into `Samples`: "not mine" and "mine,
    but broken" are two answers, and a broken packet is counted, never guessed at.
5.  The timeline (`edge.dsp.timeline`) places the samples on the boot clock with a bound on the
    error, and makes every gap and restart of the sensor explicit.
6.  Filters, the beat detector and the quality measures (`edge.dsp`) work over them in blocks of
    one second, and the ring keeps the last two minutes in memory.
7.  The tick, not the arrival of data, cuts a `Window`, so that silence is seen as well.
8.  Each feature family (`edge.features`) turns the window into named numbers, NaN where one could
    not be computed: `Features`.
9.  The anomaly model (`edge.scorer`) gives every ten-second window a `Score` and what contributed
    to it; it can only add an alarm, never mute or delay one.
10. Each alarm rule (`edge.alarms`) answers present, absent or "cannot tell", with the sentence a
    carer reads: a `Finding`.
11. The alert engine (`edge.alerts`) makes findings into an `Alert` that is raised, latched,
    acknowledged, carried further, raised again and ended; "cannot tell" never ends one. What
    should be heard and seen now, the `Signal`, is derived from what stands and what is paused.
12. Once a minute `edge.summaries` says what the time looked like: a `Summary`.
13. The daemon hands the signal to sound and light first (`edge.annunciators`), with no need of
    disk or network, then commits the records in one transaction (`edge.store`), chained with how
    each alert was told: a record counts once it is on the medium.
14. Alerts and summaries, and nothing raw, are what may leave the box when a network is there; a
    process of its own (`edge.notices`) tells people who are not at the bed.

Homeward is not a medical device. It is not certified, it can fail, and it must not be the only
thing that watches somebody whose life depends on being watched.
"""
