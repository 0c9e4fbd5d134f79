"""What a release needs: build, check, audit. The Makefile and the release workflow call these modules.

build    the wheel and the source package, the same bytes from the same commit
check    build again and compare, install the wheel in an empty environment and run it
version  the version, and its section of the changelog
audit    known vulnerabilities of the locked dependencies
"""
