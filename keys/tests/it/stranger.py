"""Another implementation of docs/credential.md: Python, OpenSSL's Ed25519, nothing of ours.

    stranger.py vectors          prints docs/credential-vectors.json
    stranger.py check FILE       judges every vector of FILE by itself
    stranger.py talk             answers one JSON request on standard input

Written from the document alone; where the two implementations differ, one of them or the document
is wrong.
"""

import base64
import hashlib
import hmac
import json
import re
import sys

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )
except ImportError:
    sys.stderr.write("stranger.py needs the Python package `cryptography`\n")
    sys.exit(3)

DOMAIN = b"ATLVS-TICKET-v1\0"
ORDER = 2**252 + 27742317777372353535851937790883648493
PRIME = 2**255 - 19
SMALL_ORDER = {
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
}
TEXT = re.compile(r"TK([A-Z2-7]{152})(?:\.([0-9]{8}))?")


class Refused(Exception):
    """The answer of section 5."""


# --- sections 1 and 2 -----------------------------------------------------------------------------


def pack(claims, version=1, flags=None):
    if flags is None:
        flags = 1 if claims["rotating"] else 0
    return b"".join(
        [
            bytes([version]),
            bytes.fromhex(claims["kid"]),
            claims["event"].to_bytes(4, "big"),
            claims["ticket"].to_bytes(6, "big"),
            claims["type"].to_bytes(2, "big"),
            claims["from"].to_bytes(4, "big"),
            claims["until"].to_bytes(4, "big"),
            claims["zones"].to_bytes(4, "big"),
            claims["revision"].to_bytes(2, "big"),
            bytes([flags]),
        ]
    )


def unpack(raw):
    if raw[0] != 1 or raw[30] & ~1:
        raise Refused("invalid")
    number = lambda start, end: int.from_bytes(raw[start:end], "big")
    return {
        "kid": raw[1:4].hex(),
        "event": number(4, 8),
        "ticket": number(8, 14),
        "type": number(14, 16),
        "from": number(16, 20),
        "until": number(20, 24),
        "zones": number(24, 28),
        "revision": number(28, 30),
        "rotating": raw[30] == 1,
    }


def text_of(raw):
    return "TK" + base64.b32encode(raw).decode().rstrip("=")


def read(text):
    """The 95 bytes and the live code (or None)."""
    if len(text.encode("utf-8", "surrogatepass")) > 2048:
        raise Refused("invalid")
    text = text[text.rfind("/") + 1 :]
    text = re.sub("[\t-\r ]", "", text)
    text = re.sub("[a-z]", lambda found: chr(ord(found[0]) - 32), text)
    text = re.sub(r"\A\][A-Z][0-9A-Z]", "", text)
    text = re.sub(r"\A\\[0-9]{6}", "", text)
    found = TEXT.fullmatch(text)
    if not found:
        raise Refused("invalid")
    return base64.b32decode(found[1]), found[2]


# --- sections 3 to 5 ------------------------------------------------------------------------------


def canonical(point):
    return int.from_bytes(point, "little") % 2**255 < PRIME


def signature_is_good(public, signature, message):
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    if s >= ORDER or not canonical(r) or not canonical(public):
        return False
    if r.hex() in SMALL_ORDER or public.hex() in SMALL_ORDER:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        return True
    except InvalidSignature:
        return False


def kid_of(public):
    return hashlib.sha256(public).hexdigest()[:6]


def ring_of(keys):
    ring = {}
    for key in keys:
        public = base64.b64decode(key["public"])
        assert kid_of(public) == key["kid"], "kid is not that of the key"
        assert (key["event"], key["kid"]) not in ring, "a kid twice in one event"
        ring[key["event"], key["kid"]] = (public, key)
    return ring


def verify_bytes(ring, raw, now, events=None, offline=False):
    claims = unpack(raw)
    if (claims["event"], claims["kid"]) not in ring:
        raise Refused("unknown_key")
    public, key = ring[claims["event"], claims["kid"]]
    if not signature_is_good(public, raw[31:], DOMAIN + raw[:31]):
        raise Refused("invalid")
    revoked = key["revoked_at"]
    if revoked is not None and (offline or revoked <= now):
        raise Refused("revoked")
    if now < key["not_before"]:
        raise Refused("not_yet")
    if key["not_after"] is not None and key["not_after"] <= now:
        raise Refused("expired")
    if events is not None and claims["event"] not in events:
        raise Refused("wrong_event")
    return claims


def verdict(ring, text, now, events=None, offline=False):
    """`verified`, or the reason."""
    try:
        verify_bytes(ring, read(text)[0], now, events, offline)
        return "verified"
    except Refused as refused:
        return str(refused)


# --- section 6 ------------------------------------------------------------------------------------


def hkdf_sha256(salt, material, info, length):
    pseudorandom = hmac.digest(salt, material, "sha256")
    output = block = b""
    for counter in range(1, -(-length // 32) + 1):
        block = hmac.digest(pseudorandom, block + info + bytes([counter]), "sha256")
        output += block
    return output[:length]


def ticket_key(secret, event, ticket, revision):
    info = event.to_bytes(4, "big") + ticket.to_bytes(6, "big") + revision.to_bytes(2, "big")
    return hkdf_sha256(b"ATLVS-ROTATE-v1", secret, info, 20)


def hotp(key, counter):
    digest = hmac.digest(key, counter.to_bytes(8, "big"), "sha1")
    offset = digest[19] & 15
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**8:08d}"


def live_code(secret, event, ticket, revision, unix_s):
    return hotp(ticket_key(secret, event, ticket, revision), unix_s // 15)


def accepts(secret, event, ticket, revision, unix_s, code):
    key, step = ticket_key(secret, event, ticket, revision), unix_s // 15
    near = [hotp(key, step + k) for k in range(-2, 3) if step + k >= 0]
    return any([hmac.compare_digest(code, other) for other in near])


# --- the other side: signing ----------------------------------------------------------------------


class Signer:
    def __init__(self, event, seed):
        self.event, self.seed = event, seed
        self.private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self.private.public_key().public_bytes_raw()
        self.kid = kid_of(self.public)

    def claims(self, **given):
        plain = {"ticket": 7, "type": 1, "from": 0, "until": 0, "zones": 1, "revision": 0}
        return {"kid": self.kid, "event": self.event, "rotating": False} | plain | given

    def sign(self, claims, domain=DOMAIN, **forced):
        body = pack(claims, **forced)
        return body + self.private.sign(domain + body)

    def sign_with_neutral_r(self, claims):
        """What only the key's holder can make: R of small order, the equation holds."""
        body, r = pack(claims), (1).to_bytes(32, "little")
        scalar = bytearray(hashlib.sha512(self.seed).digest()[:32])
        scalar[0] &= 248
        scalar[31] = scalar[31] & 127 | 64
        k = int.from_bytes(hashlib.sha512(r + self.public + DOMAIN + body).digest(), "little")
        s = k * int.from_bytes(scalar, "little") % ORDER
        return body + r + s.to_bytes(32, "little")

    def published(self, not_before, not_after=None, revoked_at=None):
        public = base64.b64encode(self.public).decode()
        life = {"not_before": not_before, "not_after": not_after, "revoked_at": revoked_at}
        return {"event": self.event, "kid": self.kid, "public": public} | life


# --- section 8 ------------------------------------------------------------------------------------

NOW = 1795287900  # 2026-11-21T19:05:00Z
YEAR = 1767225600  # 2026-01-01T00:00:00Z


def signers():
    seeds = [bytes(range(start, start + 32)) for start in range(0, 192, 32)]
    events = [1042, 1042, 1042, 2000, 1042, 1042]
    return [Signer(event, seed) for event, seed in zip(events, seeds)]


def vectors():
    main, ending, revoked, other, announced, future = people = signers()
    stranger = Signer(1042, bytes(range(200, 232)))
    keys = [
        main.published(YEAR),
        ending.published(YEAR, not_after=NOW + 600),
        revoked.published(YEAR, revoked_at=NOW),
        other.published(YEAR),
        announced.published(YEAR, revoked_at=NOW + 86400),
        future.published(NOW + 600),
    ]
    for key, signer in zip(keys, people):
        key["seed"] = signer.seed.hex()
    largest = {"ticket": 2**48 - 1, "type": 2**16 - 1, "from": 2**32 - 1, "until": 2**32 - 1}
    largest |= {"zones": 2**32 - 1, "revision": 2**16 - 1, "rotating": True}
    nothing = {"ticket": 0, "type": 0, "zones": 0}
    window = {"from": 3622680, "until": 3623400, "zones": 0x80000001, "revision": 3, "type": 3}
    made = [
        ("plain", 0, main.claims()),
        ("rotating", 0, main.claims(ticket=8, rotating=True)),
        ("with a window", 0, main.claims(ticket=9, **window)),
        ("every field at its largest", 0, main.claims(**largest)),
        ("every field at its smallest", 0, main.claims(**nothing)),
        ("a second key of the event", 1, ending.claims(ticket=10)),
        ("a revoked key", 2, revoked.claims(ticket=11)),
        ("another event", 3, other.claims(ticket=7)),
        ("a key whose revocation is announced", 4, announced.claims(ticket=12)),
        ("a key of the future", 5, future.claims(ticket=13)),
    ]
    credentials = []
    for name, index, claims in made:
        raw = people[index].sign(claims)
        message = (DOMAIN + raw[:31]).hex()
        credentials.append(
            {"name": name, "key": index, "claims": claims, "message": message}
            | {"bytes": raw.hex(), "text": text_of(raw)}
        )
    return {
        "about": "Vectors of docs/credential.md, section 8. The private keys are public.",
        "keys": keys,
        "credentials": credentials,
        "readings": readings(main.sign(main.claims()), main.sign(main.claims(ticket=8, rotating=True))),
        "verdicts": verdicts(people, stranger, {c["name"]: c["text"] for c in credentials}),
        **rotating_vectors(),
    }


def readings(plain, rotating):
    p, r = text_of(plain), text_of(rotating)
    spread = "\t".join(re.findall(".{1,40}", p)) + "\r\n"
    cases = [
        ("as printed", p, plain, None),
        ("lower case", p.lower(), plain, None),
        ("spaces, tab, line end", " " + spread, plain, None),
        ("AIM identifier", "]Q1" + p, plain, None),
        ("another AIM identifier, lower case", "]d2" + p.lower(), plain, None),
        ("ECI", "\\000026" + p, plain, None),
        ("AIM identifier and ECI", "]Q1 \\000026" + p, plain, None),
        ("link", "https://tickets.example/t/" + p, plain, None),
        ("AIM identifier and link", "]Q1https://tickets.example/a/b/" + p + "\n", plain, None),
        ("prefix behind a link", "x/]Q1" + p, plain, None),
        ("rotating", r + ".12345678", rotating, "12345678"),
        ("rotating behind a link, spaced", "HTTPS://T.EXAMPLE/" + r + " . 1234 5678", rotating, "12345678"),
        ("rotating without its code", r, rotating, None),
        ("2048 bytes", "a" * (2047 - len(p)) + "/" + p, plain, None),
    ]
    names = ("name", "text", "bytes", "live_code")
    return [dict(zip(names, (n, t, raw.hex(), code))) for n, t, raw, code in cases]


def verdicts(people, stranger, texts):
    main, ending, revoked, other, announced, future = people
    plain, genuine = main.sign(main.claims()), texts["plain"]
    flipped = bytearray(plain)
    flipped[13] ^= 1
    s = int.from_bytes(plain[63:], "little") + ORDER
    claims = other.claims()
    impostor = other.sign(claims | {"event": 1042})
    cases = [
        ("plain", genuine, {}, "verified"),
        ("plain, offline", genuine, {"offline": True}, "verified"),
        ("the last second of a key", texts["a second key of the event"], {"now": NOW + 599}, "verified"),
        ("the end of a key", texts["a second key of the event"], {"now": NOW + 600}, "expired"),
        ("the second before a key", texts["a key of the future"], {"now": NOW + 599}, "not_yet"),
        ("the first second of a key", texts["a key of the future"], {"now": NOW + 600}, "verified"),
        ("before its revocation", texts["a revoked key"], {"now": NOW - 1}, "verified"),
        ("from its revocation on", texts["a revoked key"], {}, "revoked"),
        ("announced revocation, online", texts["a key whose revocation is announced"], {}, "verified"),
        ("announced revocation, offline", texts["a key whose revocation is announced"], {"offline": True}, "revoked"),
        ("another event", texts["another event"], {}, "wrong_event"),
        ("another event, at its lane", texts["another event"], {"events": [2000]}, "verified"),
        ("key nobody published", text_of(stranger.sign(stranger.claims())), {}, "unknown_key"),
        ("key of another event", text_of(impostor), {}, "unknown_key"),
        ("changed ticket number", text_of(bytes(flipped)), {}, "invalid"),
        ("kid of another key", text_of(main.sign(main.claims(kid=ending.kid))), {}, "invalid"),
        ("version 0", text_of(main.sign(main.claims(), version=0)), {}, "invalid"),
        ("version 2", text_of(main.sign(main.claims(), version=2)), {}, "invalid"),
        ("flag bit 1", text_of(main.sign(main.claims(), flags=2)), {}, "invalid"),
        ("flag bits 0 and 7", text_of(main.sign(main.claims(), flags=0x81)), {}, "invalid"),
        ("version 2 under an unknown key", text_of(stranger.sign(stranger.claims(), version=2)), {}, "invalid"),
        ("no domain", text_of(main.sign(main.claims(), domain=b"")), {}, "invalid"),
        ("domain without its zero byte", text_of(main.sign(main.claims(), domain=DOMAIN[:-1])), {}, "invalid"),
        ("S not below the order", text_of(plain[:63] + s.to_bytes(32, "little")), {}, "invalid"),
        ("R of small order", text_of(main.sign_with_neutral_r(main.claims())), {}, "invalid"),
        ("signature of zeros", text_of(plain[:31] + bytes(64)), {}, "invalid"),
    ]
    cases += [(name, text, {}, "invalid") for name, text in unreadable(genuine)]
    base = {"now": NOW, "offline": False, "events": [1042]}
    return [
        {"name": name, "text": text} | base | changed | {"answer": answer}
        for name, text, changed, answer in cases
    ]


def unreadable(genuine):
    body = genuine[2:]
    return [
        ("empty", ""),
        ("no TK", body),
        ("TK twice", "TK" + genuine),
        ("151 characters", genuine[:-1]),
        ("153 characters", genuine + "A"),
        ("padding", genuine + "="),
        ("digit 0 for O", re.sub("O", "0", "TKO" + body[1:])),
        ("digit 1 for I", "TK1" + body[1:]),
        ("digit 8", "TK8" + body[1:]),
        ("Kelvin sign", "T\u212a" + body),
        ("long s", "TK" + body[:-1] + "\u017f"),
        ("full-width letter", "TK" + body[:-1] + "\uff21"),
        ("no-break space", genuine[:50] + "\u00a0" + genuine[50:]),
        ("byte order mark", "\ufeff" + genuine),
        ("zero byte", genuine + "\0"),
        ("a dot and nothing", genuine + "."),
        ("seven digits", genuine + ".1234567"),
        ("nine digits", genuine + ".123456789"),
        ("Arabic-Indic digits", genuine + "." + "\u0661" * 8),
        ("a second code", genuine + ".12345678.12345678"),
        ("link ending in a slash", "https://tickets.example/" + genuine + "/"),
        ("query behind it", "https://tickets.example/" + genuine + "?a=1"),
        ("two AIM identifiers", "]Q1]Q1" + genuine),
        ("ECI before AIM identifier", "\\000026]Q1" + genuine),
        ("ECI of five digits", "\\00026" + genuine),
        ("AIM identifier of two characters", "]Q" + genuine),
        ("2049 bytes", "a" * (2048 - len(genuine)) + "/" + genuine),
    ]


def rotating_vectors():
    secret = bytes(range(0x80, 0xA0))
    tickets = [(1042, 8, 0), (1042, 8, 1), (1042, 9, 0), (2000, 8, 0), (2**32 - 1, 2**48 - 1, 2**16 - 1)]
    tickets.append((0x01020304, 0x05060708090A, 0x0B0C))
    moments = [0, 14, 15, NOW, NOW + 15, 20_000_000_000]
    rotating = [
        {"secret": secret.hex(), "event": e, "ticket": t, "revision": r}
        | {"key": ticket_key(secret, e, t, r).hex(), "unix_s": s, "step": s // 15}
        | {"code": live_code(secret, e, t, r, s)}
        for e, t, r in tickets
        for s in moments
    ]
    windows = []
    for unix_s in (0, 29, NOW, NOW + 14):
        for step in range(unix_s // 15 - 4, unix_s // 15 + 5):
            if step < 0:
                continue
            code = hotp(ticket_key(secret, 1042, 8, 0), step)
            ticket = {"secret": secret.hex(), "event": 1042, "ticket": 8, "revision": 0}
            accepted = abs(step - unix_s // 15) <= 2
            windows.append(ticket | {"unix_s": unix_s, "code": code, "accepted": accepted})
    other = live_code(secret, 1042, 8, 1, NOW)
    ticket = {"secret": secret.hex(), "event": 1042, "ticket": 8, "revision": 0}
    windows.append(ticket | {"unix_s": NOW, "code": other, "accepted": False})
    return {"rotating": rotating, "windows": windows}


def check(vectors):
    ring, count = ring_of(vectors["keys"]), 0
    for vector in vectors["credentials"]:
        raw = bytes.fromhex(vector["bytes"])
        key = vectors["keys"][vector["key"]]
        signer = Signer(key["event"], bytes.fromhex(key["seed"]))
        assert signer.sign(vector["claims"]) == raw, vector["name"]
        assert text_of(raw) == vector["text"] and unpack(raw) == vector["claims"], vector["name"]
        assert DOMAIN + raw[:31] == bytes.fromhex(vector["message"]), vector["name"]
        count += 1
    for vector in vectors["readings"]:
        expected = (bytes.fromhex(vector["bytes"]), vector["live_code"])
        assert read(vector["text"]) == expected, vector["name"]
        count += 1
    for vector in vectors["verdicts"]:
        got = verdict(ring, vector["text"], vector["now"], vector["events"], vector["offline"])
        assert got == vector["answer"], (vector["name"], got)
        count += 1
    for vector in vectors["rotating"] + vectors["windows"]:
        ticket = bytes.fromhex(vector["secret"]), vector["event"], vector["ticket"], vector["revision"]
        if "accepted" in vector:
            assert accepts(*ticket, vector["unix_s"], vector["code"]) == vector["accepted"], vector
        else:
            assert ticket_key(*ticket).hex() == vector["key"], vector
            assert live_code(*ticket, vector["unix_s"]) == vector["code"], vector
        count += 1
    return count


# --- the conversation with the tests --------------------------------------------------------------


def talk(request):
    ring, now = ring_of(request["keys"]), request["now"]
    verified = []
    for text in request["credentials"]:
        raw, code = read(text)
        verified.append({"claims": verify_bytes(ring, raw, now), "live_code": code})
    raw, _ = read(request["change"])
    bits = [bit for bit in range(760) if verdict_of_bytes(ring, changed(raw, bit), now) == "verified"]
    maker = Signer(request["make"]["event"], bytes.fromhex(request["make"]["seed"]))
    made = [text_of(maker.sign(maker.claims(**claims))) for claims in request["make"]["claims"]]
    return {
        "verified": verified,
        "accepted_bits": bits,
        "accepted_characters": characters(ring, request["change"], now),
        "verdicts": [verdict(ring, text, now) for text in request["readings"]],
        "codes": [
            live_code(bytes.fromhex(t["secret"]), t["event"], t["ticket"], t["revision"], t["unix_s"])
            for t in request["rotating"]
        ],
        "made": {"key": maker.published(now), "texts": made},
    }


def changed(raw, bit):
    flipped = bytearray(raw)
    flipped[bit // 8] ^= 1 << bit % 8
    return bytes(flipped)


def verdict_of_bytes(ring, raw, now):
    try:
        verify_bytes(ring, raw, now)
        return "verified"
    except Refused as refused:
        return str(refused)


def characters(ring, text, now):
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    return [
        [position, other]
        for position, own in enumerate(text)
        for other in alphabet
        if other != own
        and verdict(ring, text[:position] + other + text[position + 1 :], now) == "verified"
    ]


def main():
    match sys.argv[1:]:
        case ["vectors"]:
            json.dump(vectors(), sys.stdout, indent=1, ensure_ascii=True)
            sys.stdout.write("\n")
        case ["check", path]:
            with open(path, encoding="utf-8") as file:
                print(check(json.load(file)), "vectors hold")
        case ["talk"]:
            json.dump(talk(json.load(sys.stdin)), sys.stdout)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
