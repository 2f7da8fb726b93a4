"""The ready-to-run project: the only place that knows deployment. It is not part of the wheel."""
