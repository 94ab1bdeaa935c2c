"""boto3 calls for things, jobs and files, which work the same on AWS, on `ujobs serve` and on MiniStack."""
