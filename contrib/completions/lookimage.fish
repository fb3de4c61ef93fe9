complete -c lookimage -l check -d 'Print whether each boot source would accept the image; fail if one of SOURCES refuses it or, without SOURCES, one that images of this kind are meant for' -r
complete -c lookimage -l csum -d 'Fail unless the image is the one that the boot archive with this `boot_image_csum` wants' -r -F
complete -c lookimage -l extract -d 'Write the raw contents to a file, which appears complete or not at all' -r -F
complete -c lookimage -s s -l skip-checksum -d 'Read the header only, not the contents'
complete -c lookimage -l json -d 'Print everything as JSON'
complete -c lookimage -s h -l help -d 'Print help (see more with \'--help\')'
complete -c lookimage -s V -l version -d 'Print version'
