"""`ujobs qualify`: tests the promises of ujobs on a user's own board and cloud.

`programme` runs the cases in `cases/`. A case uses a `bench`: the `board`, and the `account` in the cloud. `device/` is
the application for the board. `cost` estimates the costs before a run, `report` writes the results.
"""
