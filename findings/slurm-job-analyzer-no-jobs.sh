#!/usr/bin/env bash
# slurm-job-analyzer finds no GPU job in what sacct writes, and with tabs put in, a busy and an idle job have the same utilisation.
#
# Guess: `slurm-analyze gpu-waste --input jobs.tsv --gpu-log snapshots.csv` takes the table of the sacct command in its own documentation
#   (--parsable2) and gives each job a verdict from the snapshots (time, node, GPU) of the nodes that the job had, "per job" as it says.
# What happens: sacct's --parsable2 separates columns by |, the reader splits at tabs and nowhere else. Each line is a job without name,
#   partition, GPUs and run time, its steps too: the summary is of some jobs in a partition "unknown" that took 0 hours, the report on GPUs is
#   empty, and nothing is said. Of a file with tabs the jobs are right. But the mean and the largest utilisation are worked out once, over
#   all snapshots of all nodes, and every job is given these; the node of a snapshot is not compared with the nodes of a job.
# Versions: slurm-job-analyzer 0.1.1, pyyaml 6.0.3, Python 3.11; November 2026.
# Seen: 0.1.1 of 2 jobs (95 % on n1, 2 % on n2) as sacct writes them: unknown 4 jobs 0.0 GPU h, no report; with tabs: gpu 2 jobs 4.0 GPU h, busy 48.5 % UNDERUTILIZED, idle 48.5 % UNDERUTILIZED
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check 'slurm-job-analyzer==0.1.1' 'pyyaml==6.0.3' 2>/dev/null
cat > jobs.tsv <<'T'
JobID|JobName|Partition|State|Elapsed|AllocCPUS|AllocTRES|ReqMem|MaxRSS|NodeList
71|busy|gpu|COMPLETED|02:00:00|8|billing=8,cpu=8,gres/gpu=1,mem=32G,node=1|32G||n1
71.batch|batch||COMPLETED|02:00:00|8|cpu=8,gres/gpu=1,mem=32G,node=1||30408704K|n1
72|idle|gpu|COMPLETED|02:00:00|8|billing=8,cpu=8,gres/gpu=1,mem=32G,node=1|32G||n2
72.batch|batch||COMPLETED|02:00:00|8|cpu=8,gres/gpu=1,mem=32G,node=1||30408704K|n2
T
tr '|' '\t' < jobs.tsv > tabs.tsv
cat > snapshots.csv <<'S'
timestamp_s,node,gpu_index,utilization_pct,temperature_c,power_w,memory_used_mib,memory_total_mib
0,n1,0,95,60,600,40000,81559
0,n2,0,2,30,70,500,81559
3600,n1,0,95,60,600,40000,81559
3600,n2,0,2,30,70,500,81559
S
cat > look.py <<'P'
from importlib.metadata import version
from pathlib import Path

from slurm_analyze import gpu_waste_report, read_gpu_snapshots, read_sacct_tsv, summarize_by_partition

found = []
for table in ("jobs.tsv", "tabs.tsv"):
    rows = read_sacct_tsv(Path(table))
    partitions = [f"{p['partition']} {p['jobs']} jobs {p['total_gpu_hours']} GPU h" for p in summarize_by_partition(rows)]
    verdicts = gpu_waste_report(rows, read_gpu_snapshots(Path("snapshots.csv")))
    found.append(", ".join(partitions + [f"{v.job_name} {v.avg_util_pct} % {v.verdict}" for v in verdicts]))
    if not verdicts:
        found[-1] += ", no report"
print(
    f"{version('slurm-job-analyzer')} of 2 jobs (95 % on n1, 2 % on n2)",
    f"as sacct writes them: {found[0]}; with tabs: {found[1]}",
)  # fmt: skip
P
seen=$(venv/bin/python look.py)
echo "$seen"
test "$seen" = '0.1.1 of 2 jobs (95 % on n1, 2 % on n2) as sacct writes them: unknown 4 jobs 0.0 GPU h, no report; with tabs: gpu 2 jobs 4.0 GPU h, busy 48.5 % UNDERUTILIZED, idle 48.5 % UNDERUTILIZED'
