"""What several pages draw: charts, lists, tables, the live model."""
