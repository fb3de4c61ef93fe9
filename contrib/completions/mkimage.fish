complete -c mkimage -s i -l input -d 'The raw ramdisk image: a file, a block device, or `-` for standard input' -r -F
complete -c mkimage -s o -l output -d 'The image to write: a file, which is replaced as a whole, together with the checksum, or not at all; a device, which is written in place; or `-` for standard output, which gets the image once it is complete. Until then it is kept in TMPDIR' -r -F
complete -c mkimage -s O -l csum -d 'Also write the SHA-256 of the contents, 32 bytes, for the boot archive' -r -F
complete -c mkimage -s s -l target-size -d 'The size of the ramdisk that the sled creates' -r
complete -c mkimage -s N -l name -d 'The image\'s name, at most 127 bytes. Release packaging takes an image whose name begins with `recovery` for a recovery image' -r
complete -c mkimage -l dataset -d 'The dataset that the sled boots from' -r
complete -c mkimage -l level -d 'How hard to compress: 1 is fastest, 12 is smaller and slow, and `max` is as small as it gets and takes minutes' -r
complete -c mkimage -s j -l jobs -l threads -d 'Threads that compress. By default as many as there are cores or, under `make -j`, as make\'s jobserver has jobs to spare' -r
complete -c mkimage -s z -l compress -d 'Compress the contents, for a recovery image'
complete -c mkimage -l pad -d 'Extend the contents with zeros to a multiple of 128 KiB and at least 1 MiB, which a boot over the network needs'
complete -c mkimage -l strict -d 'Fail if a boot source that the image is meant for would refuse it'
complete -c mkimage -l verify -d 'Read the finished image back and check it before it takes its place'
complete -c mkimage -l json -d 'Print a report on the image as JSON'
complete -c mkimage -s q -l quiet -d 'Show no progress, and print nothing on success'
complete -c mkimage -s h -l help -d 'Print help (see more with \'--help\')'
complete -c mkimage -s V -l version -d 'Print version'
