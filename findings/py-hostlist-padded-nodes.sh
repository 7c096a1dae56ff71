#!/usr/bin/env bash
# py-hostlist turns SLURM's node[1-3,10-12] into node01, node02, node03: nodes that do not exist.
#
# Guess: expand(nodelist) lists the hosts of a range "and prepends any leading zeros found in the input"; what has none gets none. Where a
#   node stands in a list, and which nodes two lists have in common, follows from that.
# What happens: the zeros of the first number of each range are counted wherever they are, so the 0 of 10 is a leading zero, and all numbers
#   of the list with no more digits than zeros counted are padded. The count goes on from range to range: two ranges of three digits
#   come out with five. A list in one range that starts below 10 is right, so it is not seen before SLURM hands out nodes with a
#   gap. Node 3 "does not exist" in node[1-3,10-12], and that list has only nodes 10 to 12 in common with node[1-12].
# Versions: py-hostlist 0.0.2.dev0, Python 3.11; November 2026.
# Seen: 0.0.2.dev0 node[1-4]: node1,node2,node3,node4; node[1-3,10-12]: node01,node02,node03,node10,node11,node12; node3 in it: node does not exist; in common with node[1-12]: node[10-12]; node[001-002,005]: node001,node002,node005; node[001-002,005-006]: node00001,node00002,node00005,node00006
# ticketlens reads no list of nodes.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check 'py-hostlist==0.0.2.dev0' 2>/dev/null
cat > look.py <<'P'
from importlib.metadata import version

from hostlist.hostlist import expand, find, intersect

gap = "node[1-3,10-12]"
lists = [f"{nodes}: {expand(nodes)}" for nodes in ("node[1-4]", gap, "node[001-002,005]", "node[001-002,005-006]")]
lists.insert(2, f"node3 in it: {find(gap, 'node3')}")
lists.insert(3, f"in common with node[1-12]: {intersect(gap, 'node[1-12]')}")
print(version("py-hostlist"), "; ".join(lists))
P
seen=$(venv/bin/python look.py)
echo "$seen"
test "$seen" = '0.0.2.dev0 node[1-4]: node1,node2,node3,node4; node[1-3,10-12]: node01,node02,node03,node10,node11,node12; node3 in it: node does not exist; in common with node[1-12]: node[10-12]; node[001-002,005]: node001,node002,node005; node[001-002,005-006]: node00001,node00002,node00005,node00006'
