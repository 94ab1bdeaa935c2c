"""documentSource and presigned URLs: job documents from S3, and placeholders that become URLs for devices."""

import hashlib
import json
import re
import time
import urllib.error
import urllib.request
from email.message import Message
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from engine_service import START, Service
from http_service import Server, refused

from ujobs_tools.service import presigned, signatures
from ujobs_tools.service.engine import Engine
from ujobs_tools.service.errors import ApiError
from ujobs_tools.service.presigned import Location

ROLE = "arn:aws:iam::123456789012:role/downloads"
CONFIG = {"roleArn": ROLE, "expiresInSec": 60}
PLACE = "https://files.s3.eu-west-1.amazonaws.com/v1/app.py"
V2, V1 = f"${{aws:iot:s3-presigned-url-v2:{PLACE}}}", f"${{aws:iot:s3-presigned-url:{PLACE}}}"


@pytest.fixture
def target(server: Server) -> str:
    arn: str = server.iot.create_thing(thingName="kiln")["thingArn"]
    return arn


def fetch(url: str, method: str = "GET", **headers: str) -> tuple[int, Message, bytes]:
    request = urllib.request.Request(url, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.headers, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


def start_next(server: Server) -> str:
    """The job document that the thing kiln gets."""
    document: str = server.data.start_next_pending_job_execution(thingName="kiln")["execution"]["jobDocument"]
    return document


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://s3.eu-west-1.amazonaws.com/b/dir/k.json", Location("b", "dir/k.json")),
        ("https://s3.amazonaws.com/b/k", Location("b", "k")),
        ("https://s3-us-west-2.amazonaws.com/b/k", Location("b", "k")),
        ("https://b.c.s3.eu-west-1.amazonaws.com/k%20%C3%BC", Location("b.c", "k ü")),
        ("https://b.s3.amazonaws.com/k+1", Location("b", "k+1")),
        ("https://b.s3.dualstack.eu-west-1.amazonaws.com/k", Location("b", "k")),
        ("https://b.s3.cn-north-1.amazonaws.com.cn/k", Location("b", "k")),
        ("https://b.s3.amazonaws.com/k?versionId=v1", Location("b", "k", "v1")),
        ("s3://b/dir/k", Location("b", "dir/k")),
    ],
)
def test_urls_of_objects(url: str, expected: Location) -> None:
    assert presigned.location(url, "wrong") == expected


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://example.com/b/k", "wrong"), ("ftp://b.s3.amazonaws.com/k", "wrong"), ("b/k", "wrong"),
        ("https://[s3.amazonaws.com/b/k", "wrong"), ("https://s3.amazonaws.com", "wrong"), ("s3://", "wrong"),
        ("https://b.s3.amazonaws.com.example.com/k", "wrong"), ("https://evils3.amazonaws.com/k", "wrong"),
        ("https://s3.amazonaws.com/b", "Key cannot be null"), ("https://b.s3.amazonaws.com/", "Key cannot be null"),
        ("s3://b", "Key cannot be null"),
    ],
)
def test_urls_that_name_no_object(url: str, message: str) -> None:
    with pytest.raises(ApiError, match=message):
        presigned.location(url, "wrong")


def test_a_device_downloads_by_presigned_url(server: Server, target: str) -> None:
    server.s3.put_object(Bucket="files", Key="v1/app.py", Body=b"content")
    document = {"files": [{"url": V2, "at": f"see {V1} and {V2}"}], "n": 1}
    server.iot.create_job(jobId="a", targets=[target], document=json.dumps(document), presignedUrlConfig=CONFIG)
    assert server.iot.describe_job(jobId="a")["job"]["presignedUrlConfig"] == CONFIG
    assert json.loads(server.iot.get_job_document(jobId="a")["document"]) == document
    (_, _, notified) = server.run(lambda service: service.sent[-1])
    execution = server.data.start_next_pending_job_execution(thingName="kiln")["execution"]
    given = json.loads(execution["jobDocument"])
    url = given["files"][0]["url"]
    for found in (url, notified["execution"]["jobDocument"]["files"][0]["url"]):
        assert found.startswith(f"{server.url}/files/v1/app.py?X-Amz-Algorithm=AWS4-HMAC-SHA256&")
        assert fetch(found)[::2] == (200, b"content")
    assert parse_qs(urlsplit(url).query)["X-Amz-Expires"] == ["60"]
    assert re.fullmatch(r"see http://\S+/files/v1/app\.py\?\S+ and http://\S+", given["files"][0]["at"])
    assert len(url) > 1000, "AWS's URLs have the session token of a role"
    server.run(lambda service: service.clock.forward(5))
    again = json.loads(server.data.describe_job_execution(thingName="kiln", jobId="$next")["execution"]["jobDocument"])
    renewed = again["files"][0]["url"]
    assert renewed != url
    server.run(lambda service: service.clock.forward(55))
    status, _, body = fetch(url)
    assert (status, b"<Code>AccessDenied</Code><Message>Request has expired" in body) == (403, True)
    assert fetch(renewed)[0] == 200


def test_what_s3_does_with_a_presigned_url(server: Server) -> None:
    key = "dir/a b+ü=&?.bin"
    content = bytes(range(100))
    server.s3.put_object(Bucket="files", Key=key, Body=content)
    url = server.objects.presign(Location("files", key), 60)
    status, headers, body = fetch(url)
    assert (status, body, headers["ETag"]) == (200, content, f'"{hashlib.md5(content).hexdigest()}"')
    status, headers, body = fetch(url, Range="bytes=90-")
    assert (status, body, headers["Content-Range"]) == (206, bytes(range(90, 100)), "bytes 90-99/100")
    assert fetch(url, Range="bytes=10-19")[2] == bytes(range(10, 20))
    assert fetch(url, Range="bytes=-3")[2] == bytes(range(97, 100))
    assert fetch(url, Range="bytes=90-", **{"If-Range": '"other"'})[::2] == (200, content)
    for outside in ("bytes=100-", "bytes=-0"):
        assert fetch(url, Range=outside)[0] == 416
    for changed in (
        url.replace("a%20b", "a%20c"), url[:-1] + ("0" if url[-1] != "0" else "1"),
        url.replace("Expires=60", "Expires=600"), url.partition("&X-Amz-Signature")[0],
        url.replace("127.0.0.1", "localhost"), url.replace("Credential=A", "Credential=B"),
        url.replace("%3D", "%3d%3D"), url.replace("%2F", "%20"), url + "&x=y",
    ):
        status, _, body = fetch(changed)
        assert (status, b"<Error><Code>" in body) in ((403, True), (400, True)), changed
    assert fetch(url, "DELETE")[0] == 403
    assert fetch(server.objects.presign(Location("files", "missing"), 60))[0] == 404


def test_signatures_are_botocores() -> None:
    url = signatures.presigned("http://localhost:8080", "/files/a b/ü+=~.py", "eu-west-1", time.time(), 300)
    query = {name: value[0] for name, value in parse_qs(urlsplit(url).query).items()}
    access_key, _, region, *_ = query["X-Amz-Credential"].split("/")
    credentials = Credentials(access_key, "local", query["X-Amz-Security-Token"])
    request = AWSRequest("GET", "http://localhost:8080/files/a%20b/%C3%BC%2B%3D~.py")
    S3SigV4QueryAuth(credentials, "s3", region, expires=300).add_auth(request)
    path = request.url.removeprefix("http://localhost:8080")
    assert signatures.refusal("GET", path, "localhost:8080", time.time()) is None
    assert signatures.refusal("GET", path + "x", "localhost:8080", time.time()) is not None


def test_objects_by_boto3(server: Server) -> None:
    s3 = server.s3
    s3.create_bucket(Bucket="new")
    s3.head_bucket(Bucket="new")
    s3.put_object(Bucket="new", Key="k", Body=b"x" * 10)
    assert s3.head_object(Bucket="new", Key="k")["ContentLength"] == 10
    assert s3.get_object(Bucket="new", Key="k", Range="bytes=8-")["Body"].read() == b"xx"
    assert fetch(s3.generate_presigned_url("get_object", Params={"Bucket": "new", "Key": "k"}))[2] == b"x" * 10
    version_2 = server._client("s3", s3={"addressing_style": "path"}, signature_version="s3")
    url = version_2.generate_presigned_url("get_object", Params={"Bucket": "new", "Key": "k"}, ExpiresIn=60)
    expires = parse_qs(urlsplit(url).query)["Expires"][0]
    assert "AWSAccessKeyId=" in url
    assert fetch(url.replace(expires, str(int(START) + 60)))[2] == b"x" * 10
    for wrong in (str(int(START)), "soon"):
        assert fetch(url.replace(expires, wrong))[0] == 403
    s3.delete_object(Bucket="new", Key="k")
    with pytest.raises(s3.exceptions.NoSuchKey):
        s3.get_object(Bucket="new", Key="k")
    with refused("404", 404):
        s3.head_object(Bucket="new", Key="k")
    with refused("NotImplemented", 501):
        s3.list_objects(Bucket="new")


def test_objects_are_listed(server: Server) -> None:
    s3 = server.s3
    keys = ["a b+ü&.bin", "app/1", "app/2", "app/old/1", "z"]
    for key in reversed(keys):
        s3.put_object(Bucket="listed", Key=key, Body=key.encode())
    s3.put_object(Bucket="other", Key="x", Body=b"")

    def listed(**wanted: Any) -> tuple[list[str], list[str]]:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket="listed", **wanted)
        found = list(pages)
        return (
            [item["Key"] for page in found for item in page.get("Contents", ())],
            [item["Prefix"] for page in found for item in page.get("CommonPrefixes", ())],
        )

    for wanted in ({}, {"PaginationConfig": {"PageSize": 2}}):
        assert listed(**wanted) == (keys, [])
        assert listed(Delimiter="/", **wanted) == ([keys[0], "z"], ["app/"])
        assert listed(Prefix="app/", Delimiter="/", **wanted) == (["app/1", "app/2"], ["app/old/"])
    assert listed(StartAfter="app/2", Prefix="a") == (["app/old/1"], [])
    page = s3.list_objects_v2(Bucket="listed", MaxKeys=1)
    (first,) = page["Contents"]
    assert (page["IsTruncated"], page["KeyCount"], page["MaxKeys"]) == (True, 1, 1)
    head = s3.head_object(Bucket="listed", Key=keys[0])
    assert (first["ETag"], first["Size"], first["LastModified"]) == (
        head["ETag"], head["ContentLength"], head["LastModified"]
    )
    for wrong in ({"ContinuationToken": "ü"}, {"ContinuationToken": "x"}, {"MaxKeys": -1}):
        with refused("InvalidArgument", 400):
            s3.list_objects_v2(Bucket="listed", **wrong)
    with refused("BucketNotEmpty", 409):
        s3.delete_bucket(Bucket="listed")
    for key in keys:
        s3.delete_object(Bucket="listed", Key=key)
    assert s3.list_objects_v2(Bucket="listed")["KeyCount"] == 0
    s3.delete_bucket(Bucket="listed")


def test_the_bucket_may_be_in_the_host(server: Server) -> None:
    signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=any/20260921/us-east-1/s3/aws4_request"}
    hosted = signed | {"Host": "hosted.localhost:1"}
    request = urllib.request.Request(f"{server.url}/dir/k", b"content", hosted, method="PUT")
    urllib.request.urlopen(request, timeout=10).close()
    assert server.s3.get_object(Bucket="hosted", Key="dir/k")["Body"].read() == b"content"
    assert fetch(f"{server.url}/dir/k", **hosted)[2] == b"content"
    assert b"<Key>dir/k</Key>" in fetch(f"{server.url}/?list-type=2", **hosted)[2]
    assert fetch(f"{server.url}/hosted/dir/k", **signed, Host="localhost")[2] == b"content"


def test_the_document_is_read_from_s3_once(server: Server, target: str) -> None:
    source = "https://s3.us-east-1.amazonaws.com/files/job.json"
    server.s3.put_object(Bucket="files", Key="job.json", Body=b'{"operation": "\xc3\xbc"}')
    server.iot.create_job_template(jobTemplateId="t-1", description="text", documentSource=source)
    described = server.iot.describe_job_template(jobTemplateId="t-1")
    assert (described["documentSource"], described["document"]) == (source, '{"operation": "ü"}')
    server.s3.put_object(Bucket="files", Key="job.json", Body=b'{"operation": "y"}')
    server.iot.create_job(jobId="a", targets=[target], documentSource=source)
    server.iot.create_job(jobId="b", targets=[target], jobTemplateArn=described["jobTemplateArn"])
    server.iot.create_job(jobId="c", targets=[target], jobTemplateArn=described["jobTemplateArn"], document="{}")
    server.s3.delete_object(Bucket="files", Key="job.json")
    for job_id, document in (("a", '{"operation": "y"}'), ("b", '{"operation": "ü"}')):
        assert server.iot.describe_job(jobId=job_id)["documentSource"] == source
        assert server.iot.get_job_document(jobId=job_id)["document"] == document
    assert "documentSource" not in server.iot.describe_job(jobId="c")
    server.iot.create_job_template(
        jobTemplateId="t-2", description="text", jobArn=server.iot.describe_job(jobId="a")["job"]["jobArn"]
    )
    assert server.iot.describe_job_template(jobTemplateId="t-2")["documentSource"] == source
    for name in ("t-1", "t-2"):
        server.iot.delete_job_template(jobTemplateId=name)


@pytest.mark.parametrize(
    ("source", "code", "message"),
    [
        ("https://example.com/job.json", "InvalidRequest", "Job document source .* is invalid"),
        ("s3://files", "InvalidRequest", "Key cannot be null"),
        ("s3://files/missing", "InvalidRequest", "Job document located at .* is not found"),
        ("s3://files/broken", "InvalidRequest", "Job document located at .* is an invalid JSON document"),
        ("s3://files/latin", "InvalidRequest", "is an invalid JSON document"),
        ("s3://files/large", "LimitExceeded", "exceeds size limit 32768 bytes"),
        ("https://files.s3.amazonaws.com/broken?versionId=1", "InvalidRequest", "is not found"),
    ],
)
def test_documents_that_cannot_be_read(server: Server, target: str, source: str, code: str, message: str) -> None:
    for key, body in (("broken", b"{"), ("latin", b'{"a": "\xfc"}'), ("large", b'"' + b"x" * 32768 + b'"')):
        server.s3.put_object(Bucket="files", Key=key, Body=body)
    with pytest.raises(ClientError, match=f"{code}Exception.*{message}"):
        server.iot.create_job(jobId="a", targets=[target], documentSource=source)
    with pytest.raises(ClientError, match=f"{code}Exception.*{message}"):
        server.iot.create_job_template(jobTemplateId="t", description="text", documentSource=source)


@pytest.mark.parametrize(
    ("document", "options", "message"),
    [
        ([V2], {}, "presignedUrlConfig role ARN is required"),
        ([V2], {"presignedUrlConfig": {"expiresInSec": 60}}, "presignedUrlConfig role ARN is required"),
        ({"a": {"b": V1}}, {}, "Role must be provided for pre-sign S3 urls in job document of job a"),
        ({}, {"presignedUrlConfig": {"roleArn": "arn:aws:iam::1:user/someone"}}, "Given role .* is invalid"),
        ({}, {"presignedUrlConfig": {**CONFIG, "expiresInSec": 3601}}, "60 to 3600"),
        (V2.replace("files.s3", "files.example"), {"presignedUrlConfig": CONFIG}, "Given S3 url .* is invalid"),
        (V2.replace("app.py", "app 1.py"), {"presignedUrlConfig": CONFIG}, "Given S3 url .* is invalid"),
        (V2.replace("v1/app.py", ""), {"presignedUrlConfig": CONFIG}, "Key cannot be null"),
    ],
)
def test_jobs_that_are_refused(
    server: Server, target: str, document: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(server.iot.exceptions.InvalidRequestException, match=message):
        server.iot.create_job(jobId="a", targets=[target], document=json.dumps(document), **options)


def test_a_document_has_ten_placeholders_at_most(server: Server, target: str) -> None:
    def given(number: int) -> dict[str, Any]:
        return {"document": json.dumps([V2] * number), "presignedUrlConfig": CONFIG}

    server.iot.create_job(jobId="a", targets=[target], **given(10))
    assert start_next(server).count("X-Amz-Signature=") == 10
    for create, named in (
        (server.iot.create_job, {"jobId": "b", "targets": [target]}),
        (server.iot.create_job_template, {"jobTemplateId": "b", "description": "text"}),
    ):
        with pytest.raises(server.iot.exceptions.LimitExceededException, match="has 11 placeholders"):
            create(**named, **given(11))


def test_a_document_and_its_source_exclude_each_other(server: Server, target: str) -> None:
    with pytest.raises(ClientError, match="cannot be specified at the same time"):
        server.iot.create_job(jobId="a", targets=[target], document="{}", documentSource="s3://b/k")


def test_the_configuration_of_a_template_and_its_change(server: Server, target: str) -> None:
    server.iot.create_job_template(
        jobTemplateId="t", description="text", document=json.dumps(V2), presignedUrlConfig=CONFIG
    )
    described = server.iot.describe_job_template(jobTemplateId="t")
    assert described["presignedUrlConfig"] == CONFIG
    server.iot.create_job(jobId="a", targets=[target], jobTemplateArn=described["jobTemplateArn"])
    server.iot.update_job(jobId="a", presignedUrlConfig={"roleArn": ROLE, "expiresInSec": 120})
    assert "X-Amz-Expires=120&" in start_next(server)
    with refused("InvalidRequestException", 400):
        server.iot.update_job(jobId="a", presignedUrlConfig={"expiresInSec": 120})
    server.iot.delete_job_template(jobTemplateId="t")


@pytest.mark.parametrize(("start", "end"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_the_deepest_document_reaches_the_device(server: Server, target: str, start: str, end: str) -> None:
    levels = 300 // sum(map(start.count, "[{"))
    document = start * levels + f'"{V2}"' + end * levels
    server.iot.create_job(jobId="a", targets=[target], document=document, presignedUrlConfig=CONFIG)
    assert "X-Amz-Signature=" in start_next(server)
    server.iot.create_job_template(
        jobTemplateId="deep", description="text", presignedUrlConfig=CONFIG, jobArn=f"{target[:-10]}job/a"
    )
    assert server.iot.describe_job_template(jobTemplateId="deep")["document"] == document
    server.iot.delete_job_template(jobTemplateId="deep")


def test_a_managed_template_with_a_presigned_url(server: Server, target: str) -> None:
    arn = server.iot.describe_managed_job_template(templateName="AWS-Download-File")["templateArn"]
    server.iot.create_job(
        jobId="a", targets=[target], jobTemplateArn=arn, presignedUrlConfig=CONFIG,
        documentParameters={"downloadUrl": V2, "filePath": "/data/app.py"},
    )
    assert "X-Amz-Signature=" in start_next(server)
    assert V2 in server.iot.get_job_document(jobId="a")["document"]


def test_without_s3_placeholders_are_refused_and_those_of_older_jobs_stay() -> None:
    service = Service()
    service.engine.presign = lambda location, seconds: "http://s3"
    service.job("a", document=V2, presignedUrlConfig=CONFIG)
    service.engine = Engine(service.engine.store, service.clock)
    with pytest.raises(ApiError, match="no S3"):
        service.job("b", document=V2, presignedUrlConfig=CONFIG)
    assert service.engine.start_next("kiln", {})["execution"]["jobDocument"] == V2
