// Prints what Go's archive/tar finds in each of the files that are named: one line of JSON a file.
package main

import (
	"archive/tar"
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
)

// Entry is one header with its content's digest. Names are bytes, since they need not be UTF-8.
type Entry struct {
	Name, Link   []byte
	Type         byte
	Size         int64
	Mode         int64
	UID, GID     int
	Seconds      int64
	Nanoseconds  int
	Major, Minor int64
	Xattrs       map[string][]byte
	SHA256       string
}

// Found is all of a tar, up to the error that ended it, if any.
type Found struct {
	Entries []Entry
	Error   string
}

const mostHashed = 1 << 30
const xattr = "SCHILY.xattr."

func main() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	encoder := json.NewEncoder(out)
	for _, path := range os.Args[1:] {
		file, err := os.Open(path)
		if err != nil {
			panic(err)
		}
		// No seeking: layers are streams.
		encoder.Encode(read(struct{ io.Reader }{bufio.NewReader(file)}))
		file.Close()
	}
}

func read(r io.Reader) Found {
	found := Found{Entries: []Entry{}}
	reader := tar.NewReader(r)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			found.Error = err.Error()
			return found
		}
		entry := Entry{
			Name: []byte(header.Name), Link: []byte(header.Linkname), Type: header.Typeflag,
			Size: header.Size, Mode: header.Mode, UID: header.Uid, GID: header.Gid,
			Seconds: header.ModTime.Unix(), Nanoseconds: header.ModTime.Nanosecond(),
			Major: header.Devmajor, Minor: header.Devminor, Xattrs: map[string][]byte{},
		}
		for key, value := range header.PAXRecords {
			if strings.HasPrefix(key, xattr) {
				entry.Xattrs[key[len(xattr):]] = []byte(value)
			}
		}
		switch header.Typeflag {
		case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
			if header.Size > mostHashed {
				break
			}
			sum := sha256.New()
			if _, err := io.Copy(sum, reader); err != nil {
				found.Error = err.Error()
				return found
			}
			entry.SHA256 = hex.EncodeToString(sum.Sum(nil))
		}
		found.Entries = append(found.Entries, entry)
	}
}
