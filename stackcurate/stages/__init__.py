"""The Spark code: DataFrame -> DataFrame. `PIPELINE` lists the stages in order."""
