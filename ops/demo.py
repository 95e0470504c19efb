"""Joins what the seed made with where the services run into demo.json, and shows how to go on.

    demo.py SEED OUT key=value…     writes OUT
    demo.py --show DEMO             prints URLs and what to try next
"""

import json
import sys


def write(seed_path, out_path, pairs):
    with open(seed_path, encoding="utf-8") as file:
        demo = json.load(file)
    demo.update(pair.split("=", 1) for pair in pairs)
    with open(out_path, "w", encoding="utf-8") as file:
        json.dump(demo, file, indent=2, sort_keys=True)
        file.write("\n")


def show(path):
    with open(path, encoding="utf-8") as file:
        demo = json.load(file)
    print(f"""
gate         {demo['gate_url']}      shop, scans     {demo['gate_url']}/openapi.json
back office  {demo['backoffice_url']}      staff API       {demo['backoffice_url']}/openapi.json
sign in as   {demo['admin_email']}   (password, tokens, ids, and a person for each role: {path})

try next:
  curl -s {demo['gate_url']}/api/v1/shop/events/{demo['event_id']}
  curl -s -H "Authorization: Bearer $(python3 -c 'import json;print(json.load(open("{path}"))["api_token"])')" \\
       '{demo['backoffice_url']}/api/v1/registrations?limit=5&sort=-created_at'
  python3 ops/walk.py {path}            # sell and scan one more ticket
""")


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--show":
        show(sys.argv[2])
    elif len(sys.argv) >= 3:
        write(sys.argv[1], sys.argv[2], sys.argv[3:])
    else:
        sys.exit(__doc__)
