"""The start of a link, as data."""

from edge.gatt import STORED, Profile, Quirk, Records, uuid

METER = Profile("meter", "meter", uuid(0x1808), (uuid(0x2A18),), records=Records(uuid(0x2A18), 1))


def test_records_are_asked_for_from_the_last_one_on():
    records = Records(uuid(0x2A18), sequence_at=1)

    assert records.request(None).hex() == "0101"
    assert records.request(0x1234).hex() == "0103013412"
    assert records.request(0xFFFF).hex() == "010301ffff"
    assert records.sequence(bytes([0x00, 0x34, 0x12])) == 0x1234
    assert records.sequence(bytes([0x00, 0x34])) is None


def test_records_without_a_number_are_all_asked_for():
    records = Records(uuid(0x2A5E))

    assert records.request(7).hex() == "0101"
    assert records.sequence(bytes(20)) is None


def test_stored_records_have_a_stream_of_their_own():
    assert METER.streams == (uuid(0x2A18), STORED + uuid(0x2A18))


def test_a_profile_with_a_quirk_names_its_streams_after_it():
    odd = Profile(
        "odd",
        "odd one",
        uuid(0x180D),
        (uuid(0x2A37),),
        read=(uuid(0x2A38),),
        quirk=Quirk(manufacturer="Odd"),
        prefix="odd:",
    )

    assert odd.streams == ("odd:" + uuid(0x2A37), "odd:" + uuid(0x2A38))
