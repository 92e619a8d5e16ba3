"""``homeward status``: what is happening now."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from edge.cli import DONE, FOUND
from edge.cli._box import box_text
from edge.cli._kept import print_kept, vault_lines, vault_troubles
from edge.cli._measured import print_readings, print_sensors, stream_text, vital_rows
from edge.cli._notices import notice_lines, notice_troubles, print_json_of, proof_lines
from edge.cli._room import room_troubles, salvage_text
from edge.cli._shared import AsJson, ConfigFile, DataDir, load_config, print_json
from edge.cli._sync import print_json_of_sync, sync_lines, sync_troubles
from edge.cli._tables import PRIORITY_STYLE, console, span_text, table
from edge.control import Status
from edge.control.client import ControlClient

_UNHEARD = "alarms make no sound and no light at this box: see [annunciators] in the settings"


def command(
    config: ConfigFile = None,
    data_dir: DataDir = None,
    *,
    json: AsJson = False,
) -> int:
    """Show patients, vital signs with their age, standing alerts, sources and the store.

    Ends with exit code 3 when an alert stands, the alarms are paused or off, or something is
    wrong with the box.
    """
    settings = load_config(config, data_dir)
    with ControlClient(settings.box.socket) as client:
        report = client.ask(Status())
    troubles = _troubles(report)
    if json:
        _print_lines(report, troubles)
    else:
        _print_tables(report, troubles)
    live = report["live"]
    return FOUND if live["alerts"] or live["mutes"] or troubles else DONE


def _troubles(report: dict[str, Any]) -> list[str]:
    """Return what is wrong with the box, a sentence each."""
    store, monitor = report["store"], report["monitor"]
    found = []
    if store["trouble"]:
        found.append(f"cannot record: {store['trouble']} ({store['n_waiting']} records wait)")
    if store["n_dropped"]:
        found.append(f"{store['n_dropped']} records were given up while nothing could be written")
    found += room_troubles(store["room"])
    if store["moved_aside"]:
        found.append(f"the store was damaged and is kept as {store['moved_aside']}")
    if store["salvage"]:
        found.append(salvage_text(store["salvage"]))
    if store["packet_log"].startswith("ended"):
        found.append(f"the packet log has {store['packet_log']}")
    found += vault_troubles(report["vault"])
    if monitor["model_trouble"]:
        found.append(f"no model, limit alarms only: {monitor['model_trouble']}")
    found += [
        f"source {link['name']} failed {link['n_failures']} times: {link['last_error']}"
        for link in report["links"]
        if link["state"] == "waiting"
    ]
    found += [
        f"alarms do not come out through {one['name']}: {one['reason']}"
        for one in report["annunciators"]
        if not one["works"]
    ]
    found += notice_troubles(report["notices"])
    found += sync_troubles(report)
    if report["limits_trouble"]:
        found.append(f"the limits of the settings file are in force: {report['limits_trouble']}")
    if report["n_overflow"]:
        found.append(f"{report['n_overflow']} packets were dropped: the box is too slow")
    return found


def _print_lines(report: dict[str, Any], troubles: list[str]) -> None:
    live = report["live"]
    for patient in live["patients"]:
        print_json({"record": "patient", **patient})
    for alert in live["alerts"]:
        print_json(alert)
    outside = [{"patient": who, "id": name} for who, name in report["pseudonyms"].items()]
    decided = ("limits", report["limits"]), ("pseudonym", outside)
    for kind, ones in (("mute", live["mutes"]), ("watch", live["watches"]), *decided):
        for one in ones:
            print_json({"record": kind, **one})
    for sensor in live["sensors"]:
        print_json({"record": "sensor", **sensor})
    for reading in live["readings"]:
        print_json(reading)
    told = (live, "source"), (report, "link"), (report, "annunciator")
    for part, kind in told:
        for one in part[f"{kind}s"]:
            print_json({"record": kind, **one})
    print_json_of(report)
    print_json_of_sync(report)
    print_kept(report)
    print_json(
        {
            "record": "status",
            **report["monitor"],
            "n_patients": len(live["patients"]),
            "n_alerts": len(live["alerts"]),
            "signal": live["signal"],
            "alarm_path": report["alarm_path"],
            "n_queued": report["n_queued"],
            "max_queued": report["max_queued"],
            "n_overflow": report["n_overflow"],
            "box": live["box"],
            "troubles": troubles,
            "notes": live["notes"],
        }
    )


def _print_tables(report: dict[str, Any], troubles: list[str]) -> None:
    live, monitor = report["live"], report["monitor"]
    out = console()
    running = span_text(monitor["now_s"] - monitor["started_s"])
    utc = monitor["now_utc"] or "unknown"
    out.print(f"Homeward {monitor['version']}, process {monitor['pid']}, running for {running}")
    out.print(f"time {utc} ({monitor['time_quality'] or 'no clock'})\n")
    _print_alarm_path(report["alarm_path"], out)
    for trouble in troubles:
        out.print(Text(f"! {trouble}", style="yellow"))
    if not report["annunciators"]:
        out.print(Text(f"! {_UNHEARD}", style="yellow"))
    _print_silence(live, out)
    _print_limits(report, out)
    _print_alerts(live, out)
    for patient in live["patients"]:
        out.print(table(patient["patient"], ("vital sign", "now", "age"), vital_rows(patient)))
        out.print()
    print_sensors(live, out)
    print_readings(live, out)
    rows = [
        (
            source["source"],
            stream_text(source["stream"]),
            source["patient"],
            str(source["n_packets"]),
            str(source["n_lost"]),
            str(source["n_broken"] + source["n_not_mine"]),
            span_text(source["age_s"]),
            source["last_error"],
        )
        for source in live["sources"]
    ]
    heads = ("source", "stream", "patient", "packets", "lost", "broken", "age", "last error")
    out.print(table("Sources", heads, rows))
    store = report["store"]
    written_s = store["written_s"]
    age = "never" if written_s is None else f"{span_text(monitor['now_s'] - written_s)} ago"
    out.print(
        f"\nstore {store['path']}: written {age}, {store['n_waiting']} records wait, "
        f"{store['n_outbox'] or 0} in the outbox; queue {report['n_queued']} of "
        f"{report['max_queued']} packets",
        markup=False,
    )
    for line in vault_lines(report["vault"], monitor["now_s"]):
        out.print(line, markup=False)
    for line in notice_lines(report["notices"], monitor["now_s"]):
        out.print(line, markup=False)
    for line in (*proof_lines(report), *sync_lines(report)):
        out.print(line, markup=False)
    if told := box_text(live["box"]):
        out.print(told, markup=False)
    for note in live["notes"]:
        out.print(Text(f"note: {note}", style="dim"))


_MUTED = {
    "audio_paused": "SOUND PAUSED",
    "alarms_paused": "ALARMS PAUSED",
    "audio_off": "SOUND OFF",
}


def _print_silence(live: dict[str, Any], out: Any) -> None:  # noqa: ANN401  # rich's console
    """Say what is paused or off, so that nobody relies on it, and who has the watch."""
    for mute in live["mutes"]:
        left = "until somebody says `homeward pause --resume`"
        if mute["until_s"] is not None:
            left = f"for {span_text(mute['until_s'] - live['now_s'])}"
        whose = mute["patient"] or "everybody"
        text = f"{_MUTED[mute['act']]} up to {mute['upto']} priority, {whose}, {left}"
        out.print(Text(f"! {text} (by {mute['by']})", style="bold yellow"))
    for watch in live["watches"]:
        left = span_text(watch["until_s"] - live["now_s"])
        whose = watch["patient"] or "everybody"
        out.print(Text(f"{watch['holder']} has the watch over {whose} for {left}"))


def _print_alarm_path(path: dict[str, Any] | None, out: Any) -> None:  # noqa: ANN401
    """Say whether the alarm path is proven, and that a sound is a test while it is one."""
    if path is None:
        return
    out.print(Text(path["words"], style="green" if path["proven"] else "yellow"))
    if path["running"]:
        out.print(Text("a self-test is running: a soft tone is a test", style="cyan"))
    out.print()


def _print_limits(report: dict[str, Any], out: Any) -> None:  # noqa: ANN401  # rich's console
    """Say what people decided about how each patient is watched, and what they are called."""
    for patient, name in report["pseudonyms"].items():
        out.print(Text(f"{patient} is called {name} in all that leaves this box"))
    for one in report["limits"]:
        told = [f"preset {one['preset']}"] if one["preset"] else []
        if one["n_own"]:
            told.append(f"{one['n_own']} limits of their own (`homeward limits`)")
        if told:
            out.print(Text(f"{one['patient']}: {', '.join(told)}"))
        for off in one.get("off", ()):
            words = f"! {one['patient']}: SWITCHED OFF, does not alarm: {off}"
            out.print(Text(words, style="bold yellow"))
        if one["spo2_scale"] == 2:
            scale = f"{one['patient']}: SpO2 SCALE 2 of NEWS2 (88 to 92 %), decided by"
            out.print(Text(f"! {scale} {one['decided']}", style="bold yellow"))


def _print_alerts(live: dict[str, Any], out: Any) -> None:  # noqa: ANN401  # rich's console
    if not live["alerts"]:
        out.print(Text("no alert stands\n", style="green"))
        return
    rows = [
        (
            Text(alert["priority"], style=PRIORITY_STYLE.get(alert["priority"], "")),
            alert["patient"] or "the box",
            alert["rule"],
            alert["state"] + (f" by {alert['answered_by']}" if alert["answered_by"] else ""),
            span_text(live["now_s"] - alert["since_s"]),
            alert["reason"],
            alert["id"],
        )
        for alert in live["alerts"]
    ]
    heads = ("priority", "patient", "rule", "state", "for", "reason", "id")
    out.print(table("Standing alerts", heads, rows))
    out.print()
