"""The playground: a small server, and the one page that it serves.

    limits      how much a request may ask for
    wire        images as JSON
    requests    what may be asked, checked before anything is done
    catalog     which models there are, known without loading them
    shelf       models and test images, loaded when first asked for
    checks      whether a request fits its model
    desk        one queue, one worker: the only place where a model runs
    answers     what a client is sent of its job
    jobs        what the worker does
    archives    the same for compression
    uploads     pictures of strangers -> levels
    exports     levels -> files
    guard       hosts, sizes and headers of every request
    problems    errors as plain sentences
    describe    their description
    app         the addresses
    server      the socket, the address on the terminal, Ctrl-C

FastAPI and uvicorn come with the extra `[web]`. Nothing here imports torch before a model is
needed, so that the page is there at once.
"""
