#!/usr/bin/env bash
# Only http/ knows curl, and http/ knows nothing of language models; vendors' names
# and wire formats end at model/.
vendors='openai|anthropic|claude|ollama|gemini|cohere|voyage|jina|mistral|deepseek|azure|bedrock|gpt'
failed=0

# refuse WHAT PATTERN: standard input names files that must not match
refuse() {
	local files
	mapfile -t files
	if grep -niHE -- "$2" /dev/null "${files[@]}"; then
		echo "$1"
		failed=1
	fi
}

refuse "curl is used outside http/" '<curl/|\bcurl_(easy|multi|url|global)' \
	< <(find src -name '*.[ch]' ! -path 'src/http/*')
refuse "a vendor's name above model/" "\\b($vendors)\\b" \
	< <(find src -type f -name '*.*' \( -path 'src/job/*' -o -path 'src/memory/*' -o -path 'src/ingest/*' \
		-o -path 'src/chat/*' -o -path 'src/worker/*' \) ! -name '*.[od]')
refuse "http/ speaks of prompts" '\bprompts?\b' \
	< <(find src/http -type f ! -name '*.[od]' 2>/dev/null)
exit "$failed"
