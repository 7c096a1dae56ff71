"""What a job of the workflow needs: its rerun trigger, its log, checks before the first one."""
