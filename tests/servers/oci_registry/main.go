// A registry that has all of the OCI distribution API, in memory, for the tests.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"

	"cuelabs.dev/go/oci/ociregistry/ocimem"
	"cuelabs.dev/go/oci/ociregistry/ociserver"
)

func main() {
	var options ociserver.Options
	var content ocimem.Config
	flag.BoolVar(&options.DisableReferrersAPI, "no-referrers", false, "have no referrers API")
	flag.BoolVar(&options.OmitDigestFromTagGetResponse, "no-digest", false, "state no digest of a tag")
	flag.BoolVar(&options.OmitLinkHeaderFromResponses, "no-links", false, "do not link to the next page")
	flag.IntVar(&options.MaxListPageSize, "page", 0, "refuse longer pages")
	flag.BoolVar(&content.ImmutableTags, "immutable-tags", false, "let no tag move or go")
	flag.Parse()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	log.Fatal(http.Serve(listener, ociserver.New(ocimem.NewWithConfig(&content), &options)))
}
