"""The real sender with one thing changed: what the broker has confirmed counts as stored.

The control of the campaigns: it must lose, or they see nothing.
"""

from __future__ import annotations

import sys

from edge.__main__ import main
from edge.sync.parcel import Parcel, Receipt
from edge.sync.sinks import mqtt


def believe() -> None:
    """Patch the MQTT sink."""
    send = mqtt.MqttSink.send

    async def sent(self: mqtt.MqttSink, parcel: Parcel) -> None:
        await send(self, parcel)
        await self.receipts.put(Receipt({item.uuid: item.digest for item in parcel.items}))

    mqtt.MqttSink.send = sent  # type: ignore[method-assign]


if __name__ == "__main__":
    believe()
    sys.exit(main(sys.argv[1:]))
