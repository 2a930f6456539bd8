"""Sends a session of MLflow's Python client as that client (through requests) puts it on the wire, and checks the answers as it
does: status, JSON object, error_code. Standard library only.

The sessions follow mlflow/store/tracking/rest_store.py, mlflow/store/artifact/http_artifact_repo.py and service.proto: methods,
addresses, which fields are sent and in which order, numbers for 64-bit integers, text for NaN and infinity.

usage: mlflow_client.py TRACKING_URI TOKEN SESSION.json
"""

import http.client
import json
import sys
import urllib.parse

HEADERS = {
    "User-Agent": "mlflow-python-client/2.17.2",
    "Accept-Encoding": "gzip, deflate",
    "Accept": "*/*",
    "Connection": "keep-alive",
}


def fill(value, saved):
    if isinstance(value, str):
        for name, text in saved.items():
            value = value.replace("{" + name + "}", text)
        return value
    if isinstance(value, list):
        return [fill(item, saved) for item in value]
    if isinstance(value, dict):
        return {key: fill(item, saved) for key, item in value.items()}
    return value


def assert_holds(answer, wanted, where):
    if isinstance(wanted, dict):
        for key, value in wanted.items():
            assert key in answer, f"{where}.{key} is missing in {answer}"
            assert_holds(answer[key], value, f"{where}.{key}")
    elif isinstance(wanted, list):
        assert len(answer) == len(wanted), f"{where}: {answer} instead of {wanted}"
        for index, value in enumerate(wanted):
            assert_holds(answer[index], value, f"{where}[{index}]")
    else:
        assert answer == wanted, f"{where}: {answer!r} instead of {wanted!r}"


def look_up(answer, path):
    for part in path.split("."):
        answer = answer[part]
    return answer


def exchange(connection, base, token, entry, saved):
    entry = fill(entry, saved)
    headers = {**HEADERS, **entry.get("headers", {}), "Authorization": f"Bearer {token}"}
    path, body = base + entry["path"], None
    if "params" in entry:
        path += "?" + urllib.parse.urlencode(entry["params"])
    if "json" in entry:
        body, headers["Content-Type"] = json.dumps(entry["json"]).encode(), "application/json"
    elif "data" in entry:
        body = entry["data"].encode()
    if body is not None or entry["method"] in ("POST", "PUT"):
        headers["Content-Length"] = str(len(body or b""))
    connection.putrequest(entry["method"], path, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders(body or None)
    response = connection.getresponse()
    content = response.read()
    where = f"{entry['method']} {entry['path']}"
    assert response.status == entry["status"], f"{where}: {response.status} {content!r}"
    if "content" in entry:
        assert content == entry["content"].encode(), f"{where}: {content!r}"
    if "response" in entry:
        answer = json.loads(content)
        assert isinstance(answer, dict), f"{where}: {content!r} is no JSON object"
        assert_holds(answer, entry["response"], where)
    for name, path in entry.get("save", {}).items():
        saved[name] = look_up(json.loads(content), path)


def main():
    uri, token, session = sys.argv[1:]
    address = urllib.parse.urlsplit(uri)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
    saved = {}
    with open(session, encoding="utf-8") as file:
        entries = json.load(file)
    for entry in entries:
        exchange(connection, address.path, token, entry, saved)
    print(json.dumps({"exchanges": len(entries), **saved}))


main()
