// Applies layers to a folder as containerd does without overlayfs, one upon another; what it refuses ends it.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/containerd/containerd/v2/pkg/archive"
	"github.com/containerd/containerd/v2/pkg/archive/compression"
)

func main() {
	folder := os.Args[1]
	check(os.MkdirAll(folder, 0o755))
	for _, layer := range os.Args[2:] {
		file, err := os.Open(layer)
		check(err)
		tar, err := compression.DecompressStream(file)
		check(err)
		_, err = archive.Apply(context.Background(), folder, tar)
		check(err)
		check(tar.Close())
		check(file.Close())
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
