// Package safefile opens files in directories that other users may write. An attacker there can put a symbolic link, a hard link, a
// named pipe or a file of his own in the place of one of ours, at any moment; /proc/sys/fs/protected_* forbids that on some hosts only.
// So nothing is concluded from a path before it is opened: what counts is what the descriptor shows.
//
//   - Open opens what this process writes: a regular file of its own user, or of root, with one name, never through a symbolic link.
//   - OpenRead and Read open what this process only reads: a regular file, through symbolic links as well, because configuration,
//     passwords and certificates are mounted as such. Foreign reports who else can change it.
//   - Replace writes a file whole or not at all.
//   - CheckDir reports who else can replace the files of a directory.
//
// It imports nothing of ours.
package safefile
