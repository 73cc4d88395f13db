<?php
echo $_POST['message'];
