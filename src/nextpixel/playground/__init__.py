"""The playground: a small server, and the one page that it serves.

    refusals       which requests are refused, and in which words
    wording        what is wrong with a request, in plain words
    serialization  levels as JSON and as files
    schemas        what may be asked and answered, and the limits
    catalog        which models there are, and those loaded
    uploads        pictures and arrays of strangers -> levels
    job_queue      one queue, one worker; streams and outcomes for its clients
    jobs           what the worker does
    learner        a small net in training
    training       whose trainings run, and what their pages are sent
    page_files     the files of the page, packed
    routes         the addresses
    connections    clients that connect and do not ask
    listening      the socket, its address, and who can reach it
    server         the application, the address on the terminal, Ctrl-C

FastAPI and uvicorn come with the extra `[web]`. Nothing here imports torch before a model is
needed, so that the page is there at once.
"""
