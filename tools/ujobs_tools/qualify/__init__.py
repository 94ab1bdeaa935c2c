"""`ujobs qualify`: a fixed programme that tests what ujobs promises on a user's own board and cloud.

`programme` runs the cases in `cases/`, one small file each. A case works with a `bench`: the `board`, and the `account`
in the cloud. `device/` is the application for the board. `cost` estimates the costs before a run, `report` writes the
results.
"""
