"""Writes from where, and how, pip would download a project, without downloading it.

    python -I -c <this file> PROJECT VERSION OUTPUT_FILE

pip tells this nowhere else: `pip install --dry-run --report` downloads the whole file first, for it
must look into it. So pip's own parts are asked, which are not an interface: whatever does not go as
it did in pip 22 to 26 ends this with an error, and the caller lets pip do the download.

OUTPUT_FILE becomes JSON, for its owner only: `url`, `name`, `sha256` (null if the index has none), and
what pip would use for the request: `authorization` (a header), `proxy`, `roots` (a file of
certificates), each null if it is not set; `is_plain` is false if there is more to it (a client
certificate, no check of the server's).
"""

import json
import os
import sys

from pip._internal.commands import create_command
from pip._vendor import requests
from pip._vendor.packaging.specifiers import SpecifierSet


def main():
    project, version, output = sys.argv[1:]
    command = create_command("install")
    with command.main_context():
        options, _ = command.parse_args(["--no-input"])
        session = command.get_default_session(options)
        finder = command._build_package_finder(options=options, session=session)
        specifier = SpecifierSet("==" + version)
        best = finder.find_best_candidate(project, specifier).best_candidate
        if best is None:
            sys.exit(f"pip finds no {project} {version} for this Python")
        source = describe(session, best.link)
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(source, file)


def describe(session, link):
    request = requests.Request("GET", link.url_without_fragment)
    request = session.prepare_request(request)
    settings = session.merge_environment_settings(request.url, {}, None, None, None)
    proxy = requests.utils.select_proxy(request.url, settings["proxies"])
    verify = settings["verify"]
    return {
        "url": request.url,
        "name": link.filename,
        "sha256": link.hash if link.hash_name == "sha256" else None,
        "authorization": request.headers.get("Authorization"),
        "proxy": proxy,
        "roots": verify if isinstance(verify, str) else None,
        "is_plain": bool(verify) and not settings["cert"],
    }


main()
