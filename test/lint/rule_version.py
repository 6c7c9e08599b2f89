"""memai.control is the one place that knows the version; what must repeat it agrees."""
import json
import re
import sys
from pathlib import Path

findings = []
control = re.search(r"^default_version *= *'(.*)'", Path('memai.control').read_text(errors='replace'), re.M)[1]
semantic = control + '.0' * (2 - control.count('.'))        # PGXN wants three numbers

meta = json.loads(Path('META.json').read_text(errors='replace'))
for where, version in (('version', meta['version']), ('provides', meta['provides']['memai']['version'])):
    if version != semantic:
        findings.append(f'META.json:1: {where} is {version}, memai.control says {control}')
if not re.search(rf'^## {re.escape(control)} ', Path('CHANGELOG.md').read_text(errors='replace'), re.M):
    findings.append(f'CHANGELOG.md:1: no section "## {control} ..."')

print('\n'.join(findings), end='\n' if findings else '')
sys.exit(bool(findings))
