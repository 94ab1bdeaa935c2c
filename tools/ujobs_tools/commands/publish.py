"""`ujobs publish-app` and `ujobs publish-firmware`: update boards with `ujobs_tools.aws.publishing`."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from ujobs_tools.commands.errors import one_line
from ujobs_tools.commands.options import AbortAt, EndpointUrl, Profile, Rate, Region, Windows

Version = Annotated[str, typer.Option(help="Version, for example 1.4.0. Boards reject a version lower than theirs.")]
Bucket = Annotated[
    str | None, typer.Option(help="S3 bucket for the files; it must exist. Required on AWS.")
]
RoleArn = Annotated[
    str | None, typer.Option(help="ARN of the role with which AWS IoT reads the bucket. Required on AWS.")
]
Name = Annotated[str, typer.Option(help="Name of the job and its stream: 1 to 64 characters of a-z A-Z 0-9 _ -")]
Things = Annotated[list[str] | None, typer.Option(help="Thing to update. Can be repeated.")]
Groups = Annotated[list[str] | None, typer.Option(help="Thing group to update. Can be repeated.")]
Continuous = Annotated[bool, typer.Option("--continuous", help="Include things that join the group later.")]
Key = Annotated[Path | None, typer.Option(help="Private key to sign with, for boards that have a signing_key.")]
Downgrade = Annotated[bool, typer.Option("--downgrade", help="Also update boards that run a higher version.")]
Template = Annotated[
    str | None, typer.Option(help="Name or ARN of a job template, for configurations not given here.")
]
Compress = Annotated[
    bool, typer.Option("--compress/--no-compress", help="Compress files; boards need MicroPython's deflate.")
]
Https = Annotated[bool, typer.Option("--https", help="Use presigned URLs over HTTPS instead of a stream over MQTT.")]
S3Url = Annotated[
    str | None,
    typer.Option(envvar="AWS_ENDPOINT_URL_S3", help="S3 endpoint URL. Default: AWS, or the local service itself."),
]


def publish_app(
    app: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Folder with app.py or app.mpy, and other files. Default: of ujobs.toml."),
    ],
    version: Version, name: Name, bucket: Bucket = None, role_arn: RoleArn = None, thing: Things = None,
    group: Groups = None, continuous: Continuous = False, key: Key = None, https: Https = False, s3_url: S3Url = None,
    downgrade: Downgrade = False, rate: Rate = None, abort_at: AbortAt = None, window: Windows = None,
    template: Template = None, endpoint_url: EndpointUrl = None, region: Region = None, profile: Profile = None,
    compress: Compress = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the files, and do nothing else.")] = False,
) -> None:
    """Update the application on boards: upload its files and create a stream and a job.

    Hidden files, tests and files named by .ujobsignore are left out.

    Exit codes: 0 done; 1 not done; 2 wrong arguments, file or setting.
    """
    from ujobs_tools.aws import publishing
    from ujobs_tools.board.files import application_files, check_modules

    with one_line("publish-app"):
        files = application_files(app)
        check_modules(files)
        sizes = {path: file.stat().st_size for path, file in files.items()}
    if dry_run:
        for path, size in sizes.items():
            typer.echo(f"publish  {path}  {size} bytes")
        return
    publication = _Publication(
        "publish-app", s3_url, endpoint_url, region, profile, bucket, role_arn, https,
        (rate, abort_at, window, template),
    )
    publication.run(
        sum(sizes.values()), name, thing or [], group or [], continuous,
        lambda to, progress: publishing.publish_app(
            to, files, version, name, progress, _signer(key), downgrade, compress
        ),
    )


def publish_firmware(
    image: Annotated[
        Path, typer.Argument(metavar="FILE", help="ESP32 application image: .app-bin on MicroPython's download page.")
    ],
    version: Version, name: Name, bucket: Bucket = None, role_arn: RoleArn = None, thing: Things = None,
    group: Groups = None, continuous: Continuous = False, key: Key = None, https: Https = False, s3_url: S3Url = None,
    downgrade: Downgrade = False, rate: Rate = None, abort_at: AbortAt = None, window: Windows = None,
    template: Template = None, endpoint_url: EndpointUrl = None, region: Region = None, profile: Profile = None,
) -> None:
    """Update the firmware on boards: upload the image and create a stream and a job.

    Exit codes: 0 done; 1 not done; 2 wrong arguments, file or setting.
    """
    from ujobs_tools.aws import publishing

    publication = _Publication(
        "publish-firmware", s3_url, endpoint_url, region, profile, bucket, role_arn, https,
        (rate, abort_at, window, template),
    )
    publication.run(
        image.stat().st_size if image.exists() else 0, name, thing or [], group or [], continuous,
        lambda to, progress: publishing.publish_firmware(to, image, version, name, progress, _signer(key), downgrade),
    )


def _signer(key: Path | None) -> Any:
    from ujobs_tools.keys import signing

    return signing.Signer(signing.load_key(key)) if key else None


class _Publication:
    """Common part of both commands: creates clients, a progress bar and the job, and reports errors on one line."""

    def __init__(
        self, command: str, s3_url: str | None, endpoint_url: str | None, region: str | None, profile: str | None,
        bucket: str | None, role_arn: str | None, https: bool,
        staging: tuple[str | None, str | None, list[str] | None, str | None],
    ) -> None:
        self._command = command
        self._s3 = (s3_url, region, profile)
        self._iot = (endpoint_url, region, profile)
        self._to = (bucket, role_arn, https)
        self._staging = staging

    def run(
        self, size: int, name: str, things: list[str], groups: list[str], continuous: bool,
        publish: Callable[[Any, Callable[[str, int], None]], dict[str, Any]],
    ) -> None:
        from rich.console import Console
        from rich.progress import Progress

        from ujobs_tools.aws import cloud, fleet, jobs, publishing, stages
        from ujobs_tools.project import ujobs_toml

        with one_line(self._command, cloud.CloudError), cloud.one_line_errors():
            (s3_url, *s3), (bucket, role_arn, https) = self._s3, self._to
            rate, abort_at, windows, template = self._staging
            staged = stages.options(rate, abort_at, stages.windows(windows, continuous))
            if self._iot[0] is not None and cloud.is_local(self._iot[0]):
                s3_url = s3_url or self._iot[0]
                bucket, role_arn = bucket or publishing.LOCAL_BUCKET, role_arn or publishing.LOCAL_ROLE
            if bucket is None or role_arn is None:
                raise ValueError("AWS needs --bucket and --role-arn: see docs/quick-start-aws.md")
            iot = cloud.client("iot", *self._iot)
            to = publishing.Destination(cloud.client("s3", s3_url, *s3), iot, bucket, role_arn, https)
            targets = jobs.targets(iot, ujobs_toml.things(things, groups), groups)
            staged = stages.of_template(iot, template) | staged | publishing.presigning(to)
            console = Console(stderr=True)
            bar = Progress(console=console, transient=True, disable=not console.is_terminal)
            task = bar.add_task("upload", total=size)

            def uploaded(path: str, size: int) -> None:
                bar.update(task, advance=size, description=path)

            with fleet.all_or_nothing() as undo, cloud.one_line_errors():
                def on_stream(stream: str) -> None:
                    undo(f"stream {stream}", iot.delete_stream, streamId=stream)

                with bar:
                    document = publish(replace(to, on_stream=on_stream), uploaded)
                document = json.dumps(document, separators=(",", ":"))
                typer.echo(jobs.create(iot, name, document, targets, continuous, **staged))
