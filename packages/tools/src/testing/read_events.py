"""Reads a TensorBoard event file from nothing but the published format, and prints each event as a line of JSON.

An independent witness: it shares no code with what writes the files (its CRC-32C is bitwise, its protobuf decoding by
hand), and fails on anything that is not exactly the format.
"""

import json
import struct
import sys


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def records(data):
    position = 0
    while position < len(data):
        length, length_crc = struct.unpack_from("<QI", data, position)
        assert masked(data[position : position + 8]) == length_crc, "checksum of a length"
        body = data[position + 12 : position + 12 + length]
        assert len(body) == length, "a record is cut short"
        (body_crc,) = struct.unpack_from("<I", data, position + 12 + length)
        assert masked(body) == body_crc, "checksum of a record"
        yield body
        position += 12 + length + 4


def varint(data, position):
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, position


def fields(data):
    position = 0
    while position < len(data):
        key, position = varint(data, position)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, position = varint(data, position)
        elif wire == 1:
            (value,), position = struct.unpack_from("<d", data, position), position + 8
        elif wire == 5:
            (value,), position = struct.unpack_from("<f", data, position), position + 4
        elif wire == 2:
            length, position = varint(data, position)
            value, position = data[position : position + length], position + length
        else:
            raise ValueError(f"wire type {wire}")
        assert position <= len(data), "a field is cut short"
        yield number, value


def message(data, names):
    return {names[number]: value for number, value in fields(data) if number in names}


def doubles(packed):
    return list(struct.unpack(f"<{len(packed) // 8}d", packed))


def value_of(data):
    value = message(data, {1: "tag", 2: "scalar", 4: "image", 5: "histogram"})
    value["tag"] = value["tag"].decode()
    if "image" in value:
        image = message(value["image"], {1: "height", 2: "width", 3: "colorspace", 4: "bytes"})
        image["isPng"] = image.pop("bytes").startswith(b"\x89PNG\r\n\x1a\n")
        value["image"] = image
    if "histogram" in value:
        names = {1: "min", 2: "max", 3: "num", 4: "sum", 5: "sumSquares", 6: "limits", 7: "counts"}
        histogram = message(value["histogram"], names)
        value["histogram"] = {**histogram, "limits": doubles(histogram["limits"]), "counts": doubles(histogram["counts"])}
    return value


def event_of(data):
    event = message(data, {1: "wallTime", 2: "step", 3: "fileVersion", 5: "summary", 7: "session"})
    event["step"] = event.get("step", 0)
    if event["step"] >= 1 << 63:
        event["step"] -= 1 << 64
    if "fileVersion" in event:
        event["fileVersion"] = event["fileVersion"].decode()
    if "session" in event:
        session = message(event["session"], {1: "status", 3: "msg"})
        event["session"] = {**session, "msg": session.get("msg", b"").decode()}
    if "summary" in event:
        event["summary"] = [value_of(value) for number, value in fields(event["summary"]) if number == 1]
    return event


# The check value of CRC-32C in the literature: a wrong witness would prove nothing.
assert crc32c(b"123456789") == 0xE3069283
with open(sys.argv[1], "rb") as file:
    for record in records(file.read()):
        print(json.dumps(event_of(record)))
