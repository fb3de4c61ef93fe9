complete -c sledsim -l sleds -d 'How many sleds to play' -r
complete -c sledsim -l csum -d 'The checksum of the image that the sleds want, as `mkimage -O` writes it; without it they take the first image that is offered' -r -F
complete -c sledsim -l mac -d 'The address of the first sled, from which the others count up; by default made from the link\'s own' -r
complete -c sledsim -s t -l timeout -d 'Give up after this long' -r
complete -c sledsim -l tx -d 'How frames leave: `auto`, `uring`, `mmsg` or `xdp`' -r
complete -c sledsim -l console -d 'Microseconds that a line on the sled\'s console takes, which each unwanted frame costs' -r
complete -c sledsim -l answers -d 'How long a sled takes from the last frame of a batch to its next READ: `quiet` or `busy`, as measured on real sleds, `twice-busy`, or a number of microseconds' -r
complete -c sledsim -l pause -d 'Pause each sled for US microseconds every MS milliseconds' -r
complete -c sledsim -l ring -d 'Frames that a busy sled can hold; more are lost' -r
complete -c sledsim -l image -d 'The image that the simulated rack boots' -r -F
complete -c sledsim -l size -d 'The size of the simulated image, if IMAGE is not given' -r
complete -c sledsim -l rate -d 'The rate of the simulated switch\'s ports' -r
complete -c sledsim -l server-rate -d 'The rate of the simulated server\'s port, if it differs' -r
complete -c sledsim -l queue -d 'Frames that each port of the simulated switch can queue' -r
complete -c sledsim -l loss -d 'The share of frames that are lost on the way to a simulated sled' -r
complete -c sledsim -l seed -d 'The seed of the simulation: equal seeds give equal results' -r
complete -c sledsim -l virtual -d 'Use no link: simulate a server, a switch and the sleds in virtual time, and print how long the rack would take'
complete -c sledsim -l compare -d 'Simulate the replaced tool as well'
complete -c sledsim -l together -d 'Have the simulated sleds boot in step, and compare that with one by one'
complete -c sledsim -l judge -d 'Simulate all the scenarios by which the server is judged; with --together those of sleds in step, with the bounds that they are held to'
complete -c sledsim -s h -l help -d 'Print help (see more with \'--help\')'
complete -c sledsim -s V -l version -d 'Print version'
