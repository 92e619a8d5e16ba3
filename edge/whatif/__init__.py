"""What would have alarmed under other limits, on the patient's own past.

    nights      where the past comes from: packets, cut into runs of the monitor
    recalling   packets -> what the rules saw, once
    worlds      the same past under one set of limits: which alarms, how long, how loud
    comparing   two worlds side by side: kept, missed, new; later, earlier; no longer alarmed
    picture     both drawn, with the vital sign and its limits, as SVG

Signals do not depend on limits, so packets are replayed once and the rules are asked again for
every set of limits (`edge.pipeline.past`). Limits are the same all through the span, also where
they were changed in its midst. What people answered is followed as they said it: a pause is a
pause; an acknowledgement goes to the alert of the same rule that stands then, and is passed over
where none stands.
"""
