"""`ujobs qualify`: a fixed programme that proves the promises on a user's own board and cloud.

`programme` runs the cases of `cases/`, one small file each. A case gets a `bench`: the `board` and the `account` in the
cloud. `device/` is the application that the board gets. `cost` says before what it costs, `report` what was seen.
"""
