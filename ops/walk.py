"""One ticket sold, one person admitted, the back office knows: the whole walk over HTTP, printed.

    walk.py DEMO [OUT]     DEMO: demo.json of ./ops/up; OUT: where the ticket's PNG goes

Uses nothing but Python's standard library and zbarimg, so that every step is made by a client that
shares no code with the services. Fails with a sentence at the first step that is not as it must be.
"""

import datetime
import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid

WAIT_S = 20
DIM, BOLD, PLAIN = ("\033[2m", "\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "", "")


def main(demo_path, out):
    demo = json.loads(pathlib.Path(demo_path).read_text(encoding="utf-8"))
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    staff = Api(demo["backoffice_url"], "back office")
    shop = Api(demo["gate_url"], "gate")

    title("An organization with an event on sale, made through the back office's API")
    event, ticket_type, device = set_up(staff, demo)

    title("The catalogue arrives at the gate")
    offer = until(
        "the gate shows the event",
        lambda: shop.quiet("GET", f"/api/v1/shop/events/{event['id']}"),
        lambda status, body: status == 200 and body["ticket_types"],
    )
    shown = next(kind for kind in offer["ticket_types"] if kind["id"] == ticket_type["id"])
    fact(f"on sale: {offer['name']}, {shown['name']}, {shown['available']} left")
    # Devices have documents of their own, which may come after the event's.
    gate = Api(demo["gate_url"], "gate", device)
    until(
        "the gate knows the device",
        lambda: gate.quiet("GET", f"/api/v1/events/{event['id']}/check-in/stats"),
        lambda status, body: status == 200,
    )

    title("A hold, an order, a ticket")
    order = buy(shop, event, ticket_type)
    ticket = order["tickets"][0]

    title("The credential as QR, read back by zbarimg")
    credential = show_code(shop, order, ticket, out)

    title("The door")
    first = scan(gate, credential, "admit")
    second = scan(gate, credential, "deny")
    expect(second["reason"] == "already_used", f"the second scan was refused as {second['reason']}")
    expect(second["first_scan"]["at"] == first["at"], "the refusal tells when the first was")
    expect(second["first_scan"]["gate"] == "North 3", "the refusal tells where the first was")
    forged = credential[:-1] + ("A" if credential[-1] != "A" else "B")
    expect(scan(gate, forged, "deny")["reason"] == "invalid", "a changed credential is invalid")

    title("The back office knows")
    what_happened(staff, event, ticket)
    print(f"\n{BOLD}walk complete: one ticket sold, one person admitted, the back office knows{PLAIN}")


def set_up(staff, demo):
    session = staff.call("POST", "/api/v1/sessions", 201,
                         {"email": demo["admin_email"], "password": demo["admin_password"]})
    staff.token = f"Bearer {session['token']}"
    stamp = datetime.datetime.now(datetime.timezone.utc)
    mark = uuid.uuid4().hex[:6]
    name = f"Walk {stamp:%Y-%m-%d %H:%M:%S} {mark}"
    organization = staff.call("POST", "/api/v1/organizations", 201,
                              {"name": f"{name} GmbH", "slug": f"walk-{mark}"})
    staff.organization = organization["id"]
    event = staff.call("POST", "/api/v1/events", 201, {
        "name": name,
        "starts_at": iso(stamp + datetime.timedelta(hours=1)),
        "ends_at": iso(stamp + datetime.timedelta(hours=8)),
        "time_zone": "Europe/Berlin",
        "currency": "EUR",
    })
    quota = staff.call("POST", "/api/v1/quotas", 201,
                       {"event_id": event["id"], "name": "Floor", "size": 500})
    ticket_type = staff.call("POST", f"/api/v1/events/{event['id']}/ticket-types", 201,
                             {"name": "General admission", "price": {"amount": "0.00", "currency": "EUR"}})
    staff.call("POST", "/api/v1/quota-ticket-types", 201,
               {"quota_id": quota["id"], "ticket_type_id": ticket_type["id"]})
    staff.call("POST", "/api/v1/check-in-zones", 201,
               {"event_id": event["id"], "key": "main", "name": "Main entrance"})
    device = staff.call("POST", "/api/v1/check-in-devices", 201, {"name": "Handheld 1"})
    token = staff.call("POST", f"/api/v1/check-in-devices/{device['id']}/issue-token", 200, {})
    event = staff.call("POST", f"/api/v1/events/{event['id']}/open-sales", 200, {})
    expect(event["status"] == "on_sale", f"the event is {event['status']}")
    return event, ticket_type, f"Bearer {token['token']}"


def buy(shop, event, ticket_type):
    buyer = {"email": "ada@example.org", "name": "Ada Lovelace"}
    hold = shop.call("POST", "/api/v1/shop/holds", 201, {
        "event": event["id"],
        "items": [{"ticket_type": ticket_type["id"], "quantity": 1}],
        "buyer": buyer,
    }, key=True)
    fact(f"held until {hold['expires_at']}, total {money(hold['total'])}")
    order = shop.call("POST", "/api/v1/shop/orders", 201, {
        "hold": hold["id"],
        "payment": {"method": "free"},
        "attendees": [buyer],
    }, key=True)
    fact(f"order {order['code']} {order['status']}, ticket {order['tickets'][0]['id']}")
    return order


def show_code(shop, order, ticket, out):
    credential = ticket["credential"]
    expect(credential.startswith("TK") and len(credential) == 154, "a credential has 154 characters")
    customer = Api(shop.base, "gate", f"Order {order['secret']}")
    png = customer.raw("GET", f"/api/v1/shop/tickets/{ticket['id']}/qr.png", 200)
    picture = out / f"ticket-{ticket['id']}.png"
    picture.write_bytes(png)
    gate_binary = os.environ.get("ATLVS_GATE_BIN")
    if gate_binary:
        print(subprocess.run([gate_binary, "qr", "--terminal", "--text", credential],
                             check=True, capture_output=True, text=True, timeout=WAIT_S).stdout)
    read = subprocess.run(["zbarimg", "-q", "--raw", str(picture)],
                          check=True, capture_output=True, text=True, timeout=WAIT_S).stdout.strip()
    expect(read == credential, "zbarimg reads what the gate signed")
    fact(f"{picture} reads as {read[:24]}… ({len(read)} characters)")
    return read


def scan(gate, credential, verdict):
    reply = gate.call("POST", "/api/v1/check-in/scan", 200, {
        "credential": credential, "gate": "North 3", "zone": "main", "nonce": uuid.uuid4().hex,
    })
    words = " ".join(str(reply[part]) for part in ("verdict", "reason", "message") if reply.get(part))
    fact(words)
    expect(reply["verdict"] == verdict, f"expected {verdict}")
    return reply


def what_happened(staff, event, ticket):
    path = f"/api/v1/registrations?filter[event_id]={event['id']}"
    rows = until(
        "the registration is checked in",
        lambda: staff.quiet("GET", path),
        lambda status, body: status == 200 and any(row["status"] == "checked_in" for row in body["data"]),
    )["data"]
    expect(len(rows) == 1, "one registration")
    row = rows[0]
    expect(row["ticket"] == ticket["id"], "the registration names the ticket")
    fact(f"registration {row['ticket']} of {row['attendee_name']}: {row['status']} at {row['checked_in_at']}")
    log = until(
        "the access log holds both decisions",
        lambda: staff.quiet("GET", f"/api/v1/credential-access-log?filter[event_id]={event['id']}&sort=journal_seq"),
        lambda status, body: status == 200 and len(body["data"]) == 2,
    )["data"]
    for entry in log:
        reason = f" ({entry['reason']})" if entry["reason"] else ""
        fact(f"access log {entry['scan']}: {entry['verdict']}{reason} at {entry['lane']}, {entry['scanned_at']}")
    expect([entry["verdict"] for entry in log] == ["admit", "deny"], "admitted once, refused once")


class Api:
    """A service at `base`, called as one actor; prints each call with its status."""

    def __init__(self, base, name, token=None):
        self.base, self.name, self.token, self.organization = base, name, token, None

    def call(self, method, path, status, body=None, key=False):
        got, reply = self.request(method, path, body, key)
        print(f"  {DIM}{self.name:>11}{PLAIN}  {method:<5} {path.split('?')[0]}  {got}")
        expect(got == status, f"expected {status}, got {got}: {json.dumps(reply)[:600]}")
        return reply

    def quiet(self, method, path):
        return self.request(method, path, None, False)

    def raw(self, method, path, status):
        got, data = self.send(method, path, None, False)
        print(f"  {DIM}{self.name:>11}{PLAIN}  {method:<5} {path}  {got}, {len(data)} bytes")
        expect(got == status, f"expected {status}, got {got}: {data[:600]!r}")
        return data

    def request(self, method, path, body, key):
        status, data = self.send(method, path, body, key)
        return status, json.loads(data) if data else None

    def send(self, method, path, body, key):
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self.token:
            headers["Authorization"] = self.token
        if self.organization:
            headers["X-Organization"] = self.organization
        if key:
            headers["Idempotency-Key"] = uuid.uuid4().hex
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=WAIT_S) as reply:
                return reply.status, reply.read()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read()


def until(what, ask, good):
    """Asks until the answer is good; gives up after WAIT_S seconds."""
    end = time.monotonic() + WAIT_S
    while True:
        status, body = ask()
        if good(status, body):
            return body
        expect(time.monotonic() < end, f"waited {WAIT_S} s until {what}; last answer {status}: {body}")
        time.sleep(0.05)


def iso(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def money(amount):
    return f"{amount['amount']} {amount['currency']}"


def title(text):
    print(f"\n{BOLD}{text}{PLAIN}")


def fact(text):
    print(f"               {text}")


def expect(truth, sentence):
    if not truth:
        sys.exit(f"walk: {sentence}")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else ".run/walk")
