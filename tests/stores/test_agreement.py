def test_x(registry, layout, images):
    from regscope.stores.oci_layout import OCILayoutStore
    from regscope.stores.open_store import open

    a, b = OCILayoutStore(layout), open(registry.url)
    for r in a.repositories():
        print(r, a.tags(r), b.tags(r) == a.tags(r), [a.resolve(r, t) == b.resolve(r, t) for t in a.tags(r)])
    print(a.referrers("app", images["app:1.0"].digest))
    assert a.repositories() == b.repositories()
