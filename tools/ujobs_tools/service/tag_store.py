"""Tags in the database; no rules."""

from ujobs_tools.service.database import Database, decode, encode


class TagStore(Database):
    """The table of tags, by the ARN of their resource."""

    def tags(self, arn: str) -> dict[str, str]:
        """The values by key, in the order in which they were added."""
        return decode(self._value("SELECT tags FROM tags WHERE arn = ?", arn)) or {}

    def save_tags(self, arn: str, tags: dict[str, str]) -> None:
        """Replace a resource's tags."""
        self._execute("INSERT OR REPLACE INTO tags VALUES (?, ?)", arn, encode(tags))

    def delete_tags(self, arn: str) -> None:
        self._execute("DELETE FROM tags WHERE arn = ?", arn)
