"""Market data kept as parquet: where it lies (``layout``) and how it is read and added to (``parquet``)."""
