"""A plan, shown: text for terminals, Markdown for job summaries, JSON for scripts (docs/reference/plan.schema.json)."""
