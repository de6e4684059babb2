# runtime completion for fish
function __runtime_candidates
  set -l words (commandline -opc) (commandline -ct)
  $words[1] completion candidates -- $words[2..-1] 2>/dev/null
end
complete -c runtime -f
complete -c runtime -a '(__runtime_candidates | string match -v -- ":files")'
complete -c runtime -n '__runtime_candidates | string match -q -- ":files"' -F
