"""Prometheus rules, alerts and Grafana dashboards: described here, written to ``deploy/`` and elsewhere."""
